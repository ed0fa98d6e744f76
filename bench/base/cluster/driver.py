"""Who gets which task when, and what is done about those that did not end well.

Few tasks are out at a time: as many as the workers take. A scheduler's memory is not asked for
anything, so that nothing is lost with it.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
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

        Its events are known by the key, which is free again once the task has ended.
        """

    def next_event(self, timeout_s: float) -> Event | None:
        """Wait for the next task to end; None where none did in time.

        Raises:
            ClusterError: the cluster is gone.
        """

    def clock_s(self) -> float:
        """Return the time in seconds, from any beginning."""


#: A task that so many workers died of, or that failed on so many, is given up.
TRIES = 3
#: After so many failures in a row, each of another task, a worker is left out.
FAILURES_IN_A_ROW = 3
#: When a task is tried again that another process was at.
BUSY_PAUSE_S = 30.0
#: How long to wait for an event before the workers are counted again.
TICK_S = 1.0
#: How long there may be no worker before it is told.
PATIENCE_S = 60.0


class Todo(NamedTuple):
    """A task: the name that it is known by, and what its function is given."""

    key: str
    job: dict[str, Any]


class Ended(NamedTuple):
    """A task ended, with its answer."""

    key: str
    answer: dict[str, Any]


class Lost(NamedTuple):
    """A task was given up."""

    key: str
    reason: str


class Note(NamedTuple):
    """Something that the user should know meanwhile."""

    text: str


@dataclass
class Try:
    """A task on its way, with its outcome so far."""

    todo: Todo
    deaths: int = 0
    progress: int = 0
    failures: int = 0
    avoid: set[str] = field(default_factory=set)


class Driver:
    """Runs tasks until each has ended or is given up."""

    def __init__(self, executor: Executor, progress: Callable[[str], int] = lambda _: 0) -> None:
        """Start nothing yet.

        The progress of a key is how much of its task is done, kept where the next worker goes on: a
        worker's death is held against a task that gets no further, and not against one that
        happened to be at work.
        """
        self._executor, self._progress = executor, progress
        self._ready: deque[Try] = deque()
        self._later: deque[tuple[float, Try]] = deque()
        self._out: dict[str, Try] = {}
        self._failing: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._told_busy: set[str] = set()

    def run(self, todos: Iterable[Todo]) -> Iterator[Ended | Lost | Note]:
        """Yield what becomes of every task, as it comes.

        Raises:
            ClusterError: the cluster is gone, or none of its workers is of use.
        """
        fresh = iter(todos)
        alone_since_s: float | None = None
        while True:
            now_s = self._executor.clock_s()
            while self._later and self._later[0][0] <= now_s:
                self._ready.append(self._later.popleft()[1])
            workers = self._executor.workers()
            self._hand_out(fresh, workers)
            if workers:
                alone_since_s = None
            elif alone_since_s is None:
                alone_since_s = now_s
            elif now_s - alone_since_s >= PATIENCE_S:
                alone_since_s = now_s
                yield Note("no worker is there; waiting for one")
            if not (self._out or self._ready or self._later):
                todo = next(fresh, None)
                if todo is None:
                    return
                self._ready.append(Try(todo))
            event = self._executor.next_event(TICK_S)
            if event is not None:
                yield from self._take(event)

    def _hand_out(self, fresh: Iterator[Todo], workers: Mapping[str, int]) -> None:
        """Give out as many tasks as the workers have room for."""
        avoid = self._avoided(workers)
        room = sum(count for name, count in workers.items() if name not in avoid) - len(self._out)
        while room > 0:
            if not self._ready:
                self._ready.extend(Try(todo) for todo in islice(fresh, 1))
            if not self._ready:
                return
            attempt = self._ready.popleft()
            attempt.progress = self._progress(attempt.todo.key)
            self._out[attempt.todo.key] = attempt
            self._executor.submit(*attempt.todo, avoid=avoid | attempt.avoid)
            room -= 1

    def _avoided(self, workers: Mapping[str, int]) -> set[str]:
        """Return the workers that get nothing; those that only fail do if there are no others.

        Raises:
            ClusterError: none is of use.
        """
        unfit = set(workers) & set(self._unfit)
        if workers and unfit == set(workers):
            raise ClusterError("; ".join(f"{name}: {self._unfit[name]}" for name in sorted(unfit)))
        failing = set(filter(self._is_failing, workers))
        return unfit if unfit | failing >= set(workers) else unfit | failing

    def _is_failing(self, worker: str) -> bool:
        return self._failing.get(worker, 0) >= FAILURES_IN_A_ROW

    def _take(self, event: Event) -> Iterator[Ended | Lost | Note]:
        attempt = self._out.pop(event.key)
        match event:
            case Died():
                yield from self._mourn(attempt, event.workers)
            case Raised():
                yield from self._fail(attempt, event.reason)
            case Answered() if event.answer["kind"] == "failed":
                yield from self._blame(event.worker, event.answer["reason"])
                if event.worker in attempt.avoid and not self._is_failing(event.worker):
                    self._ready.append(attempt)  # the others were busy: they were not asked
                else:
                    attempt.avoid.add(event.worker)
                    yield from self._fail(attempt, event.answer["reason"])
            case Answered() if event.answer["kind"] == "busy":
                due_s = self._executor.clock_s() + BUSY_PAUSE_S
                self._later.append((due_s, attempt))
                if event.key not in self._told_busy:
                    self._told_busy.add(event.key)
                    yield Note(f"{event.answer['reason']}; tried again every {BUSY_PAUSE_S:g} s")
            case Answered() if event.answer["kind"] == "unfit":
                self._ready.append(attempt)
                if event.worker not in self._unfit:
                    self._unfit[event.worker] = event.answer["reason"]
                    yield Note(f"{event.worker} is left out: {event.answer['reason']}")
            case Answered():
                self._failing.pop(event.worker, None)
                yield Ended(event.key, event.answer)

    def _mourn(self, attempt: Try, workers: int) -> Iterator[Lost]:
        """Try a task again that lost its worker, unless it is to blame."""
        further = self._progress(attempt.todo.key) > attempt.progress
        attempt.deaths = 1 if further else attempt.deaths + workers
        if attempt.deaths >= TRIES:
            yield Lost(
                attempt.todo.key,
                f"{attempt.deaths} workers died one after the other while they were at it",
            )
        else:
            self._ready.append(attempt)

    def _blame(self, worker: str, reason: str) -> Iterator[Note]:
        """Leave a worker out that does nothing but fail."""
        self._failing[worker] = self._failing.get(worker, 0) + 1
        if self._failing[worker] == FAILURES_IN_A_ROW:
            yield Note(f"{worker} failed {FAILURES_IN_A_ROW} times and is left out: {reason}")

    def _fail(self, attempt: Try, reason: str) -> Iterator[Lost]:
        """Try a task again, elsewhere if there is another worker."""
        attempt.failures += 1
        if attempt.failures >= TRIES:
            yield Lost(attempt.todo.key, f"tried {TRIES} times: {reason}")
        else:
            self._ready.append(attempt)
