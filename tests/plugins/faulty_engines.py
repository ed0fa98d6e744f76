"""Engines that fail, installed as a plug-in would be: by a folder on the Python path."""

import ctypes
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np

from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.ort import OnnxRuntimeEngine
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import (
    Availability,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    Support,
)

#: Told from other programs that wait by its number.
WAITS_S = "3607"


class Faulty(EngineBase):
    """onnxruntime whose sessions misbehave."""

    name = "faulty"
    format: Format = "onnx"
    default_form: Form = "dynamic"
    choices: Mapping[str, tuple[str, ...]] = {}

    def probe(self) -> Availability:
        """Say what onnxruntime says."""
        return OnnxRuntimeEngine().probe()

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take what onnxruntime takes."""
        return OnnxRuntimeEngine().supports(artifact, options)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Wrap the real session."""
        return FaultySession(OnnxRuntimeEngine().open(artifact, options), self)

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Misbehave."""
        return embedding_BD


class FaultySession(SessionBase):
    """A real session with a fault."""

    def __init__(self, session: SessionBase, engine: Faulty) -> None:
        self._session = session
        self._engine = engine

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """As the real session."""
        return self._session.effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Run the real session, then misbehave."""
        return self._engine.spoil(self._session.run(features_BTM))

    def close(self) -> None:
        """Close the real session."""
        self._session.close()


class Crash(Faulty):
    """Reads from address 0: the process dies of SIGSEGV."""

    name = "faulty-crash"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Die."""
        ctypes.string_at(0)
        return embedding_BD


class Hang(Faulty):
    """Never answers."""

    name = "faulty-hang"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Wait for ever."""
        while True:
            time.sleep(3600)


class NeverOpens(Faulty):
    """Waits for ever while it opens a model."""

    name = "faulty-never-opens"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Misbehave."""
        time.sleep(3600)
        return super().open(artifact, options)


class Greedy(Faulty):
    """Keeps a hundred megabytes more with every run, and takes its time."""

    name = "faulty-greedy"
    kept: ClassVar[list[FloatArray]] = []

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Misbehave."""
        self.kept.append(np.ones(25_000_000, np.float32))
        time.sleep(0.05)
        return embedding_BD


class Wrong(Faulty):
    """Off by a hundredth of the largest value."""

    name = "faulty-wrong"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Shift every value."""
        shift = np.float32(0.01) * np.abs(embedding_BD).max()
        return np.asarray(embedding_BD + shift, np.float32)


class NotANumber(Faulty):
    """Answers NaN."""

    name = "faulty-nan"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Spoil one value."""
        embedding_BD[0, 0] = np.nan
        return embedding_BD


class Raise(Faulty):
    """Raises what no contract names."""

    name = "faulty-raise"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Raise."""
        raise KeyError("something inside the runtime")


class TooManyThreads(Faulty):
    """Takes one thread more than it was given and keeps it busy."""

    name = "faulty-threads"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Start a busy thread; hashing releases the interpreter's lock."""
        threading.Thread(target=_hash_for_ever, daemon=True).start()
        return super().open(artifact, options)


def _hash_for_ever() -> None:
    import hashlib

    data = bytes(1 << 20)
    while True:
        hashlib.sha256(data)


class Missing(Faulty):
    """Its runtime is not installed."""

    name = "faulty-missing"

    def probe(self) -> Availability:
        """Say so."""
        return Availability(False, reason="no runtime here; install it with: pip install it")


class Short(Faulty):
    """Dies of utterances of less than ten frames."""

    name = "faulty-short"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Wrap the real session."""
        return ShortSession(OnnxRuntimeEngine().open(artifact, options), self)


class ShortSession(FaultySession):
    """A real session that dies of little."""

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Die, or run the real session."""
        if features_BTM.shape[1] < 10:
            ctypes.string_at(0)
        return super().run(features_BTM)


class FirstOnly(Faulty):
    """Answers the first element's embedding for all of a batch."""

    name = "faulty-first-only"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Copy the first one."""
        return np.repeat(embedding_BD[:1], len(embedding_BD), axis=0)


class FallsBack(OnnxRuntimeEngine):
    """Says that it computes in bf16, and computes in float32."""

    name = "faulty-falls-back"
    precisions: Mapping[Precision, Precision] = {"float32": "float32", "bf16": "float32"}


class Prints(Faulty):
    """Writes to standard output wherever it is asked anything, by Python and past it."""

    name = "faulty-prints"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Print, and open."""
        print('{"status": "ok"}', flush=True)
        return super().open(artifact, options)

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Write below Python's own buffers."""
        os.write(1, b'\x00{"status": "ok"}\n')
        return embedding_BD


class Exits(Faulty):
    """Ends the process as if all were well."""

    name = "faulty-exits"

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """End with status 0."""
        os._exit(0)


class BadQuantizer(OnnxRuntimeEngine):
    """Its quantiser takes the process with it for int8, and raises anything for fp16."""

    name = "faulty-quantizer"
    precisions: Mapping[Precision, Precision] = {
        "float32": "float32",
        "int8": "int8",
        "fp16": "fp16",
    }

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Misbehave."""
        if wanted.precision == "int8":
            ctypes.string_at(0)
        raise KeyError("something inside the quantiser")


class WaitingConverter(EngineBase):
    """Its converter is a program that never ends, and leaves a file in its working folder."""

    name = "faulty-converter"
    format = "waiting"

    def probe(self) -> Availability:
        """Be there."""
        return Availability(True, version="1.0", build="waits")

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Misbehave."""
        with TemporaryDirectory() as folder:
            run_tool(
                ["sleep", WAITS_S],
                folder=Path(folder),
                made=[path],
                failed="waiting",
                limit_s=float(WAITS_S),
            )

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Never come here."""
        raise NotImplementedError


class Leak(Faulty):
    """Keeps 64 kB of every run."""

    name = "faulty-leak"

    def __init__(self) -> None:
        self._kept: list[FloatArray] = []

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Keep memory that was written to: the rest is none."""
        self._kept.append(np.ones(16_000, np.float32))
        return embedding_BD


class Stale(Faulty):
    """Answers what the run before gave."""

    name = "faulty-stale"

    def __init__(self) -> None:
        self._last: FloatArray | None = None

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Answer the last embedding, and keep this one."""
        last, self._last = self._last, embedding_BD
        return embedding_BD if last is None else last


class Long(Faulty):
    """Dies of input of four seconds and more."""

    name = "faulty-long"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Wrap the real session."""
        return LongSession(OnnxRuntimeEngine().open(artifact, options), self)


class LongSession(FaultySession):
    """A real session that dies of much."""

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Die, or run the real session."""
        if features_BTM.shape[1] >= 400:
            ctypes.string_at(0)
        return super().run(features_BTM)


class Hiccup(Faulty):
    """Takes ten times as long once in fifty runs."""

    name = "faulty-hiccup"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Wrap the real session."""
        return HiccupSession(OnnxRuntimeEngine().open(artifact, options), self)


class HiccupSession(FaultySession):
    """A real session that now and then computes the same ten times."""

    _runs = 0

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Run the real session, once or ten times."""
        self._runs += 1
        for _ in range(1 if self._runs % 50 else 10):
            found_BD = super().run(features_BTM)
        return found_BD
