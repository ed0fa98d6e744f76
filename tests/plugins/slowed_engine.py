"""An engine whose versions are known to differ: onnxruntime, and a share of its time more.

How much more is in the package `slowed`, which comes as wheels that a test writes.
"""

import time

from rtfbench.engines.base import chosen
from rtfbench.engines.ort import OnnxRuntimeEngine, OnnxRuntimeSession
from rtfbench.engines.protocol import Availability, FloatArray, ModelArtifact, SessionOptions


class SlowedSession(OnnxRuntimeSession):
    """Computes, and then waits for a share of what that took."""

    share = 0.0

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        began = time.perf_counter()
        found_BD = super().run(features_BTM)
        until = (1 + self.share) * (time.perf_counter() - began) + began
        while time.perf_counter() < until:
            pass
        return found_BD


class SlowedEngine(OnnxRuntimeEngine):
    """onnxruntime by another name."""

    name = "slowed"
    distribution = "slowed"
    run_in_python = """asked = time.perf_counter()
found = session.run(None, inputs)[0]
until = asked + (1 + slowed_version.SHARE) * (time.perf_counter() - asked)
while time.perf_counter() < until:
    pass
"""

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return onnxruntime's lines."""
        return f"import time\n\nimport slowed_version\n{super().in_python(artifact, options)}"

    def probe(self) -> Availability:
        """Import the package, which has the version."""
        try:
            import slowed_version
        except ImportError as error:
            return Availability(False, reason=str(error))
        return Availability(True, version=slowed_version.VERSION)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> OnnxRuntimeSession:
        """Create an InferenceSession."""
        import slowed_version

        session = SlowedSession(artifact, options, chosen(self, options))
        session.share = slowed_version.SHARE
        return session
