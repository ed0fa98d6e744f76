"""A runtime with a file format of its own, as a plug-in's author writes it: a whole engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
    check_features,
)

MAGIC = b"TOY1"


class ToyEngine(EngineBase):
    """Reads `.toy` files: four letters, then an ONNX model, which onnxruntime computes."""

    name, format, distribution = "toy", "toy", "onnxruntime"

    def probe(self) -> Availability:
        """Import the runtime, not before it is asked for."""
        try:
            import onnxruntime
        except ImportError as error:
            return Availability(False, reason=f"{error}; install it with: pip install onnxruntime")
        return Availability(True, version=onnxruntime.__version__, build="toy")

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Write four letters and the model."""
        path.write_bytes(MAGIC + onnx_path.read_bytes())

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "ToySession":
        """Load a model."""
        chosen(self, options)  # refuses settings: there are none
        return ToySession(artifact, options.threads)


class ToySession(SessionBase):
    """A loaded model."""

    def __init__(self, artifact: ModelArtifact, threads: int) -> None:
        import onnxruntime

        wanted = onnxruntime.SessionOptions()
        wanted.intra_op_num_threads = threads
        try:
            content = artifact.path.read_bytes()
            if not content.startswith(MAGIC):
                raise ValueError("it begins otherwise")
            self._session: Any = onnxruntime.InferenceSession(content[len(MAGIC) :], wanted)
        except Exception as error:  # the file's, or what the runtime raises of its own
            raise EngineError(f"{artifact.path}: toy cannot load this model: {error}") from error
        self._threads = self._session.get_session_options().intra_op_num_threads
        if self._threads != threads:
            raise SettingMismatchError(f"toy: asked for {threads} threads, got {self._threads}")
        self._artifact = artifact
        self._input = artifact.input_name or self._session.get_inputs()[0].name
        self._outputs = [artifact.output_name or self._session.get_outputs()[0].name]

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Threads, as the session says."""
        return {"threads": self._threads}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        if self._session is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        (embedding_BD,) = self._session.run(self._outputs, {self._input: features_BTM})
        return np.asarray(embedding_BD, np.float32)

    def close(self) -> None:
        """Drop the session."""
        self._session = None
