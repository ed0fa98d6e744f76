"""onnx's reference evaluator, numpy operator by operator, as an engine of rtfbench."""

from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from rtfbench.engines.base import RuntimeEngine, RuntimeSession, check_taken
from rtfbench.engines.protocol import FloatArray, ModelArtifact, SessionOptions


class OnnxReference(RuntimeEngine):
    """Reads ONNX files, in either form; no settings."""

    name = "onnx-reference"
    module = "onnx"  # a dependency of this package, so it is there
    distribution = "onnx"  # what onnx-reference@1.20.0 pins
    build = "numpy"

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "Session":
        """Load a model."""
        return Session(artifact, options.threads)


class Session(RuntimeSession):
    """A loaded model."""

    engine = "onnx-reference"

    def __init__(self, artifact: ModelArtifact, threads: int) -> None:
        # Imported here: naming an engine must not load its runtime.
        from onnx.reference import ReferenceEvaluator

        with self.loading(artifact):
            evaluator = ReferenceEvaluator(str(artifact.path))
            self._input = artifact.input_name or evaluator.input_names[0]
            self._output = artifact.output_name or evaluator.output_names[0]
        threadpool_limits(threads)
        # As the matrix library says.
        taken = {"threads": max((pool["num_threads"] for pool in threadpool_info()), default=1)}
        check_taken(self.engine, taken, {"threads": threads})
        super().__init__(artifact, evaluator, taken)

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        (embedding_BD,) = self._loaded.run([self._output], {self._input: features_BTM})
        return np.array(embedding_BD, np.float32)
