"""An engine that computes nothing: what remains is the harness's own cost."""

from collections.abc import Mapping

import numpy as np

from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    FloatArray,
    ModelArtifact,
    SessionOptions,
    Support,
    check_features,
)


class NullEngine(EngineBase):
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

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "NullSession":
        """Return a session that answers zeros."""
        chosen(self, options)
        return NullSession(artifact)


class NullSession(SessionBase):
    """Answers zeros of the right shape."""

    def __init__(self, artifact: ModelArtifact) -> None:
        self._artifact = artifact

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """No thread is ever started."""
        return {"threads": 1}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Return zeros [B, D]."""
        check_features(self._artifact, features_BTM)
        return np.zeros((len(features_BTM), self._artifact.embedding_dim), np.float32)

    def close(self) -> None:
        """Nothing to release."""
