"""Speaker embeddings in this process: a model opened once, recordings or arrays in."""

import os
import warnings
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from rtfbench.base.errors import InputError, as_input
from rtfbench.engines.protocol import EngineError, FloatArray, Form
from rtfbench.extract.messages import WorkerOptions
from rtfbench.extract.options import ModelOptions, setup_for
from rtfbench.extract.session import EmbeddingSession
from rtfbench.frontends.audio import AudioError
from rtfbench.models.names import named_engine
from rtfbench.models.user_models import Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights

INT16_SCALE = np.float32(32768)
#: A recording's file, or its samples.
Audio = str | PathLike[str] | npt.NDArray[Any]


class Embedder:
    """A model on an engine, open until `close`, or to the end of its `with` block.

    ```python
    with rtfbench.Embedder("model.onnx", engine="mnn") as embedder:
        embedding_D = embedder.embed("a.wav")
    ```

    Threads may share it; their recordings take turns. A forked process needs one of its own.
    Models of the catalog know no real speakers: their weights are trained on synthetic voices, or
    seeded.
    """

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        engine: str | None = None,
        threads: int = 1,
        chunk_samples: int | None = None,
        form: Form | None = None,
        channel: int | None = None,
        resample: bool = False,
        weights: Weights = DEFAULT_WEIGHTS,
        front_end: str | None = None,
        model_input: str | None = None,
        model_output: str | None = None,
    ) -> None:
        """Open a model; its file is converted first if the engine needs that, and kept.

        Args:
            model: an `.onnx` or `.mnn` file, the folder of a WeSpeaker experiment, or a name of the
                catalog.
            engine: its name, with settings as `name[key=value]`; None takes MNN for its own files
                and the catalog, else onnxruntime.
            threads: intra-op threads.
            chunk_samples: samples a chunk, -1 for the whole recording; None takes 32000,
                or what a static model is fixed to.
            form: `dynamic` or `static`; None takes what the engine prefers.
            channel: which channel of files with several, from 0.
            resample: convert files of other sample rates.
            weights: of a model of the catalog: `trained` where it has such, or `seeded`.
            front_end: what a model file is fed: a preset's name, or a file in TOML; None is what
                the file says itself. Where it says nothing, a `UserWarning` tells what is assumed.
            model_input: the name of its input, where shapes do not tell.
            model_output: the name of its embedding, where shapes do not tell.

        Raises:
            InputError: the model or engine cannot be used; one line with the cure.
        """
        options = ModelOptions(
            model=str(model),
            engine=named_engine(engine) if engine else None,
            form=form,
            chunk_samples=chunk_samples,
            worker=WorkerOptions(threads=threads),
            channel=channel,
            resample=resample,
            weights=weights,
            reading=Reading(front_end, model_input, model_output),
        )
        self._remark = options.remark
        assumed: list[str] = []
        # A library does not print.
        self.setup = setup_for(
            options, phase=lambda _: None, note=lambda _: None, assumed=assumed.append
        )
        for line in assumed:
            warnings.warn(line, stacklevel=2)
        # Runtimes and the front end keep buffers that a second call would write over.
        self._lock, self._pid = Lock(), os.getpid()
        with as_input(EngineError):
            self._session: EmbeddingSession | None = EmbeddingSession(self.setup, threads)

    @property
    def embedding_dim(self) -> int:
        """D, the values of an embedding."""
        return self.setup.artifact.embedding_dim

    def embed(self, audio: Audio, *, sample_rate_hz: int | None = None) -> FloatArray:
        """Return the embedding of a recording: float32 [D].

        Args:
            audio: a file, or samples [N] of one channel: int16, or floating point from -1 to 1.
            sample_rate_hz: of the samples; None is the model's. Files say theirs.

        Raises:
            InputError: the recording cannot be used; one line with the reason and the cure.
        """
        if os.getpid() != self._pid:  # a runtime's threads, and what held the lock, stayed there
            raise InputError("this embedder was opened by another process; open one in each")
        with self._lock:
            session = self._session
            if session is None:
                raise InputError("this embedder is closed; open another")
            with as_input(AudioError, EngineError):
                if isinstance(audio, str | PathLike):
                    return session.embed_file(Path(audio)).embedding_D
                if sample_rate_hz not in (None, session.sample_rate_hz):
                    raise InputError(
                        f"the array has {sample_rate_hz} Hz, and {session.sample_rate_hz} are "
                        "needed; resample it first"
                    )
                samples = _samples(np.asarray(audio))
                return session.embed_blocks([samples], "the array").embedding_D

    def embed_many(self, audios: Iterable[Audio]) -> Iterator[FloatArray]:
        """Yield the embedding of each recording, in order, as it is computed.

        Raises:
            InputError: a recording cannot be used; those before it have been yielded.
        """
        for audio in audios:
            yield self.embed(audio)

    def close(self) -> None:
        """Release the runtime; closing again does nothing."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def __enter__(self) -> "Embedder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        setup = self.setup
        known = f" ({self._remark})" if self._remark else ""
        return f"<Embedder {setup.artifact.name} on {setup.engine}{known}>"


def _samples(array: npt.NDArray[Any]) -> FloatArray:
    """Return samples as the front end takes them: float32 [N] in int16 scale.

    Raises:
        InputError: another shape, type or scale.
    """
    if array.ndim != 1 or not len(array):
        raise InputError(f"the array has shape {list(array.shape)}; give one channel, [N]")
    if array.dtype == np.int16:
        return array.astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"the array is of {array.dtype}; give int16, or floats from -1 to 1")
    samples: FloatArray = array.astype(np.float32)
    if not np.isfinite(samples).all():
        raise InputError("the array holds NaN or infinite samples")
    if np.abs(samples).max() > 2:
        raise InputError(
            f"the array reaches {np.abs(samples).max():g}; floats must lie between -1 and 1, "
            "samples in int16 scale must be int16"
        )
    return samples * INT16_SCALE
