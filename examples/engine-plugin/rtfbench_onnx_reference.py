"""onnx's reference evaluator, numpy operator by operator, as an engine of rtfbench."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

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


class OnnxReference(EngineBase):
    """Reads ONNX files, in either form; no settings."""

    name = "onnx-reference"
    distribution = "onnx"  # what onnx-reference@1.20.0 pins

    def probe(self) -> Availability:
        """Import the runtime, not before it is asked for."""
        import onnx  # a dependency of this package, so it is there

        return Availability(True, version=onnx.__version__, build="numpy")

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "Session":
        """Load a model."""
        chosen(self, options)  # refuses settings: it has none
        return Session(artifact, options.threads)


class Session(SessionBase):
    """A loaded model."""

    def __init__(self, artifact: ModelArtifact, threads: int) -> None:
        from onnx.reference import ReferenceEvaluator

        self._artifact = artifact
        try:
            self._evaluator: Any = ReferenceEvaluator(str(artifact.path))
            self._input = artifact.input_name or self._evaluator.input_names[0]
            self._output = artifact.output_name or self._evaluator.output_names[0]
        except Exception as error:  # the file's, or what the runtime raises of its own
            raise EngineError(f"{artifact.path}: onnx cannot load this model: {error}") from error
        threadpool_limits(threads)
        self._threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
        if self._threads != threads:
            raise SettingMismatchError(f"asked for {threads} threads, got {self._threads}")

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Threads, as the matrix library says."""
        return {"threads": self._threads}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        if self._evaluator is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        (embedding_BD,) = self._evaluator.run([self._output], {self._input: features_BTM})
        return np.array(embedding_BD, np.float32)

    def close(self) -> None:
        """Drop the model."""
        self._evaluator = None
