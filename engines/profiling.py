"""What a runtime tells of the time of its operators."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtfbench.engines.protocol import FloatArray

#: The kind of what a first run does before it computes.
PREPARING = "Preparing"
#: The kind of what moves the input into a session and the output out of it.
PASSING = "Passing"


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the runtime's own graph, in one run.

    Attributes:
        name: as the runtime calls it.
        kind: its type, as the runtime calls it; or `PREPARING` or `PASSING`.
        ns: nanoseconds by the wall clock.
        sources: names of nodes, of tensors that they compute or of weights, in the graph that the
            model came as; those that the graph does not have are of no harm.
        implementation: what computes it, where the runtime tells.
    """

    name: str
    kind: str
    ns: int
    sources: tuple[str, ...] = ()
    implementation: str = ""


@dataclass(frozen=True)
class ProfiledRun:
    """One run: nanoseconds of the whole call, and its operators in the order of computing."""

    wall_ns: int
    operators: tuple[OperatorTime, ...]


class Profiler:
    """A session with the runtime's own profiler on."""

    def __init__(self, session: Any) -> None:
        """Take a `SessionBase`, whose module imports this one."""
        self._session = session
        self._wall_ns: list[int] = []
        self._runs: list[tuple[OperatorTime, ...]] = []

    def run(self, features_BTM: FloatArray) -> int:
        """Run once, and return how many nanoseconds the call took; features as `SessionBase.run`.

        Raises:
            EngineError: as `SessionBase.run`.
        """
        before = time.perf_counter_ns()
        self._session.run(features_BTM)
        took_ns = time.perf_counter_ns() - before
        self._wall_ns.append(took_ns)
        self.after_run()
        return took_ns

    def finish(self) -> list[ProfiledRun]:
        """Close the session and return all runs.

        Raises:
            EngineError: the runtime tells of another number of runs than there were.
        """
        found, took_ns = self.operators(), self.took_ns()
        self._session.close()
        return [ProfiledRun(*each) for each in zip(took_ns, found, strict=True)]

    def took_ns(self) -> Sequence[int]:
        """Return what every run is held against: its own time."""
        return self._wall_ns

    def after_run(self) -> None:
        """Add to `_runs` what the runtime tells of the last run; not timed."""

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Return every run's operators; the session is still open."""
        return self._runs
