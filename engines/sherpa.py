"""sherpa-onnx: a whole runtime, from samples to the embedding, with a front end of its own."""

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    Format,
    ModelArtifact,
    SessionOptions,
    Support,
    check_features,
)

#: The runtime ends the process where a file does not say these; they stand at the end of ours.
NEEDED = (b"framework", b"output_dim", b"sample_rate", b"normalize_samples", b"language")
TAIL_BYTES = 4096


class SherpaOnnxEngine(EngineBase):
    """sherpa-onnx's extractor of speaker embeddings, which is fed samples from -1 to 1.

    Its files are ONNX with the metadata that it reads its front end from.
    """

    name = "sherpa-onnx"
    format: Format = "sherpa-onnx"
    distribution = "sherpa-onnx"
    front_end = "sherpa-onnx"

    def probe(self) -> Availability:
        """Import sherpa_onnx."""
        try:
            import sherpa_onnx  # noqa: F401
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[sherpa-onnx]'"
            )
        return Availability(True, version=version("sherpa-onnx"), build="wheel")

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take dynamic models: it finds the number of frames itself."""
        if artifact.form == "static":
            return Support(
                False,
                "sherpa-onnx makes other numbers of frames than a static model takes; choose "
                "--form dynamic",
            )
        return super().supports(artifact, options)

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Copy the model; what it says of its front end is added by the caller."""
        shutil.copyfile(onnx_path, path)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "SherpaOnnxSession":
        """Load the model."""
        chosen(self, options)
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return SherpaOnnxSession(artifact, options)


class SherpaOnnxSession(SessionBase):
    """One extractor; each element of a batch is a stream of its own."""

    def __init__(self, artifact: ModelArtifact, options: SessionOptions) -> None:
        import sherpa_onnx

        _check(artifact.path)
        config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(
            model=str(artifact.path), num_threads=options.threads, provider="cpu"
        )
        try:
            self._extractor: Any = sherpa_onnx.SpeakerEmbeddingExtractor(config)
        except Exception as error:  # the binding's exceptions share no public base class
            said = " ".join(str(error).split())
            raise EngineError(
                f"{artifact.path}: sherpa-onnx cannot load this model ({said})"
            ) from error
        self._artifact = artifact
        self._rate_hz = int(json.loads(artifact.front_end)["fbank"]["sample_rate_hz"])
        self._effective: dict[str, str | int] = {
            "threads": int(config.num_threads),
            "provider": str(config.provider),
        }

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What its configuration holds; the extractor tells nothing."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D] of samples [B, N, 1]."""
        if self._extractor is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        return np.array([self._embed(samples_N1[:, 0]) for samples_N1 in features_BTM], np.float32)

    def _embed(self, samples_N: FloatArray) -> list[float]:
        stream = self._extractor.create_stream()
        stream.accept_waveform(self._rate_hz, samples_N)
        stream.input_finished()
        if not self._extractor.is_ready(stream):
            raise EngineError(f"sherpa-onnx: no frame in {len(samples_N)} samples")
        found: list[float] = self._extractor.compute(stream)
        return found

    def close(self) -> None:
        """Drop the extractor."""
        self._extractor = None


def _check(path: Path) -> None:
    """Refuse what the runtime would end the process for.

    Raises:
        EngineError: the file is missing, or does not say what is read of it.
    """
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - TAIL_BYTES, 0))
            tail = file.read()
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror})") from error
    if not all(key in tail for key in NEEDED):
        raise EngineError(
            f"{path}: not a complete model for sherpa-onnx, whose metadata says what it is fed; "
            "name the model's .onnx file, and it is made from that"
        )
