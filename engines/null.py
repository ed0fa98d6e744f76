"""An engine that computes nothing: what remains is the harness's own cost."""

from collections.abc import Mapping

import numpy as np

from rtfbench.engines.base import RuntimeEngine, RuntimeSession
from rtfbench.engines.protocol import (
    Availability,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    Support,
)


class NullEngine(RuntimeEngine):
    """Right shape, no work; the model file is never opened.

    In a sweep it ends as `wrong_output`, which shows that the parity check is awake.
    """

    name = "null"
    computes = False

    def probe(self) -> Availability:
        """Always available."""
        return Availability(True, version="1", note="null computes nothing: the harness's own cost")

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take every model of the format; there are no threads to start."""
        if options.threads != 1:
            return Support(False, "null starts no threads; choose --threads 1")
        return super().supports(artifact, options)

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "NullSession":
        """Return a session: there is nothing to load."""
        return NullSession(artifact, (), {"threads": 1})


class NullSession(RuntimeSession):
    """Answers zeros of the right shape."""

    engine = "null"

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Return zeros [B, D]."""
        return np.zeros((len(features_BTM), self._artifact.embedding_dim), np.float32)

    def close(self) -> None:
        """Nothing to release."""
