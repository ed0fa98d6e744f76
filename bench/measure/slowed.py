"""A known slow-down, to test the measurement with: a session that computes on after each call."""

import time
from collections.abc import Mapping

from engines.base import SessionBase, reported
from engines.protocol import FloatArray, Session


class Slowed(SessionBase):
    """Takes (1 + share) times as long as the session inside it, for the same embeddings.

    The extra time is spent computing, in proportion to the call that it follows, so that a
    neighbour on the machine slows both alike.
    """

    def __init__(self, session: Session, share: float) -> None:
        self._session = session
        self._share = share

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What the session inside reports, and the share."""
        return {**reported(self._session), "slowdown": self._share}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D], then compute on."""
        began = time.perf_counter()
        embeddings_BD = self._session.run(features_BTM)
        ended = time.perf_counter()
        until = ended + self._share * (ended - began)
        while time.perf_counter() < until:
            pass
        return embeddings_BD

    def close(self) -> None:
        """Close the session inside."""
        self._session.close()
