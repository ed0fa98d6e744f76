"""What the driver asks of whatever runs tasks: a cluster, or a simulated one."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol


class Answered(NamedTuple):
    """A task ended on a worker, with what it answered."""

    key: str
    worker: str
    answer: dict[str, Any]


class Died(NamedTuple):
    """So many workers were lost while they ran a task, and it is no longer tried."""

    key: str
    workers: int


class Raised(NamedTuple):
    """A task could not be run, as where rtfbench is not installed."""

    key: str
    reason: str


Event = Answered | Died | Raised


class ClusterError(Exception):
    """The cluster is gone, or no task can be given to it; one line."""


class Executor(Protocol):
    """Runs tasks somewhere."""

    def workers(self) -> Mapping[str, int]:
        """Return the workers that are there, each with the tasks that it takes at a time."""

    def submit(self, key: str, job: dict[str, Any], *, avoid: Collection[str]) -> None:
        """Have a task run once, not on the workers to avoid while there are others.

        Args:
            key: what its events are known by; free again once the task has ended.
            job: what it is given.
            avoid: workers.
        """

    def next_event(self, timeout_s: float) -> Event | None:
        """Wait for the next task to end; None where none did in time.

        Raises:
            ClusterError: the cluster is gone.
        """

    def clock_s(self) -> float:
        """Return the time in seconds, from any beginning."""
