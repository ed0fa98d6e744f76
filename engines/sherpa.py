"""sherpa-onnx: a whole runtime, from samples to the embedding, with a front end of its own."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.base import RuntimeEngine, RuntimeSession
from rtfbench.engines.protocol import (
    EngineError,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    Support,
)

#: The runtime ends the process where a file does not say these; they stand at the end of ours.
NEEDED = (b"framework", b"output_dim", b"sample_rate", b"normalize_samples", b"language")
TAIL_BYTES = 4096


class SherpaOnnxEngine(RuntimeEngine):
    """sherpa-onnx's extractor of speaker embeddings, which is fed samples from -1 to 1.

    Its files are ONNX with the metadata that it reads its front end from.
    """

    name = format = distribution = front_end = "sherpa-onnx"
    module = "sherpa_onnx"

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take dynamic models: it finds the number of frames itself."""
        if artifact.form == "dynamic":
            return super().supports(artifact, options)
        why = "sherpa-onnx makes other numbers of frames than a static model takes"
        return Support(False, f"{why}; choose --form dynamic")

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Copy the model; what it says of its front end is added by the caller."""
        shutil.copyfile(onnx_path, path)

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "SherpaOnnxSession":
        """Load the model; the extractor tells nothing, and its configuration what is effective."""
        import sherpa_onnx

        _check(artifact.path)
        config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(
            model=str(artifact.path), num_threads=options.threads, provider="cpu"
        )
        with SherpaOnnxSession.loading(artifact):
            extractor: Any = sherpa_onnx.SpeakerEmbeddingExtractor(config)
        rate_hz = int(json.loads(artifact.front_end)["fbank"]["sample_rate_hz"])
        taken = {"threads": int(config.num_threads), "provider": str(config.provider)}
        return SherpaOnnxSession(artifact, (extractor, rate_hz), taken)


class SherpaOnnxSession(RuntimeSession):
    """One extractor and its sample rate; each element of a batch is a stream of its own."""

    engine = "sherpa-onnx"

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Compute the embedding [D] of samples [N, 1]."""
        extractor, rate_hz = self._loaded
        stream = extractor.create_stream()
        stream.accept_waveform(rate_hz, features_TM[:, 0])
        stream.input_finished()
        if not extractor.is_ready(stream):
            raise EngineError(f"sherpa-onnx: no frame in {len(features_TM)} samples")
        return np.array(extractor.compute(stream), np.float32)


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
