"""tract, ONNX in Rust, on the CPU: models as they are, on one thread."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtfbench.engines.base import RuntimeEngine, RuntimeSession
from rtfbench.engines.protocol import FloatArray, ModelArtifact, SessionOptions, Support

RUNTIME = "default"


class TractEngine(RuntimeEngine):
    """tract in float32; it has no settings, and its Python binding no threads."""

    name = module = distribution = "tract"
    run_in_python = (
        "(values,) = inputs.values()\nfound = runnable.run([np.ascontiguousarray(values)])"
        "[0].to_numpy()"
    )

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take either form, on one thread."""
        if options.threads == 1:
            return super().supports(artifact, options)
        cure = "choose --threads 1, and --jobs for more cores"
        return Support(False, f"tract computes on one thread; {cure}")

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made."""
        return (
            "import tract\n"
            f"model = tract.onnx().load({str(artifact.path)!r}).into_model()\n"
            f"runnable = tract.runtime_for_name({RUNTIME!r}).prepare(model)"
        )

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "TractSession":
        """Load and optimise the model; the binding has no pool of threads."""
        with TractSession.loading(artifact):
            import tract

            model = tract.onnx().load(str(artifact.path)).into_model()
            runtime = tract.runtime_for_name(RUNTIME)
            runnable: Any = runtime.prepare(model)
        return TractSession(artifact, runnable, {"threads": 1, "runtime": runtime.name()})


class TractSession(RuntimeSession):
    """One runnable model."""

    engine = "tract"

    @staticmethod
    def told(error: Exception) -> str:
        """Return what an error says before the frames of its stack, in one line."""
        return " ".join(str(error).partition("Stack backtrace:")[0].split())

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        (output,) = self._loaded.run([features_BTM])
        return np.array(output.to_numpy(), np.float32).reshape(len(features_BTM), -1)
