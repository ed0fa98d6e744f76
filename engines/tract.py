"""tract, ONNX in Rust, on the CPU: models as they are, on one thread."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    Support,
    check_features,
)

RUNTIME = "default"


class TractEngine(EngineBase):
    """tract in float32; it has no settings, and its Python binding no threads."""

    name = "tract"
    distribution = "tract"
    run_in_python = (
        "(values,) = inputs.values()\nfound = runnable.run([np.ascontiguousarray(values)])"
        "[0].to_numpy()"
    )

    def probe(self) -> Availability:
        """Import tract."""
        try:
            import tract
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[tract]'"
            )
        return Availability(True, version=tract.version(), build="wheel")

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take either form, on one thread."""
        if options.threads != 1:
            return Support(
                False, "tract computes on one thread; choose --threads 1, and --jobs for more cores"
            )
        return super().supports(artifact, options)

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made."""
        return (
            "import tract\n"
            f"model = tract.onnx().load({str(artifact.path)!r}).into_model()\n"
            f"runnable = tract.runtime_for_name({RUNTIME!r}).prepare(model)"
        )

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "TractSession":
        """Load and optimise the model."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return TractSession(artifact)


class TractSession(SessionBase):
    """One runnable model."""

    def __init__(self, artifact: ModelArtifact) -> None:
        import tract

        self._artifact = artifact
        try:
            model = tract.onnx().load(str(artifact.path)).into_model()
            runtime = tract.runtime_for_name(RUNTIME)
            self._runnable: Any = runtime.prepare(model)
        except tract.TractError as error:
            raise EngineError(
                f"{artifact.path}: tract cannot load this model ({_reason(error)})"
            ) from error
        self._error = tract.TractError
        self._effective = {"threads": 1, "runtime": runtime.name()}

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """The runtime's own name; the binding has no pool of threads."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        if self._runnable is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        try:
            (output,) = self._runnable.run([features_BTM])
        except self._error as error:
            raise EngineError(f"tract failed: {_reason(error)}") from error
        return np.array(output.to_numpy(), np.float32).reshape(len(features_BTM), -1)

    def close(self) -> None:
        """Drop the model."""
        self._runnable = None


def _reason(error: Exception) -> str:
    """Return what an error says before the frames of its stack, in one line."""
    said = str(error).partition("Stack backtrace:")[0]
    return " ".join(said.split())
