"""MNN's operators, timed between the callbacks that it makes before and after each."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from engines.profiling import PASSING, PREPARING, OperatorTime, Profiler
from engines.protocol import Session

#: What the converter and the runtime append to the name of the tensor that is computed.
ADDED = re.compile(r"(_raster_\d+|__matmul_converted|_matmul_converted|__\d+)$")


class Timed(NamedTuple):
    """One operator between its callbacks, by a clock of nanoseconds."""

    name: str
    kind: str
    began_ns: int
    ended_ns: int


class Watch:
    """Takes the times of one session: of its operators, of copies and of its preparation."""

    def __init__(self) -> None:
        self.operators: list[Timed] = []
        self.prepared_ns = 0
        self._begun: tuple[str, str, int] = ("", "", 0)

    def before(self, _tensors: Any, info: Any) -> bool:
        """Note that an operator begins; the clock is read last."""
        self._begun = (info.getName(), info.getType(), time.perf_counter_ns())
        return True

    def after(self, _tensors: Any, _info: Any) -> bool:
        """Note that it ended; the clock is read first."""
        ended_ns = time.perf_counter_ns()
        self.operators.append(Timed(*self._begun, ended_ns))
        return True

    def forget(self) -> None:
        """Begin with another run."""
        self.operators, self.prepared_ns = [], 0


class WatchedSession(Session, Protocol):
    """A session that counts its copies, the preparation among them."""

    copy_ns: int


class MnnProfiler(Profiler):
    """A session with a watch."""

    def __init__(self, open_session: Callable[[Watch], WatchedSession]) -> None:
        self._watch = Watch()
        self._watched = open_session(self._watch)
        self._copied_ns = 0
        self._runs: list[tuple[OperatorTime, ...]] = []
        super().__init__(self._watched)

    def after_run(self) -> None:
        """Take what the watch has."""
        copied_ns = self._watched.copy_ns - self._copied_ns
        self._copied_ns = self._watched.copy_ns
        self._runs.append(tuple(operators(self._watch, copied_ns)))
        self._watch.forget()

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Return what was taken."""
        return self._runs


def operators(watch: Watch, copied_ns: int) -> Iterator[OperatorTime]:
    """Yield what a run consists of.

    Args:
        watch: has seen the run.
        copied_ns: what the session spent on shapes and copies.
    """
    if watch.prepared_ns:
        yield OperatorTime("resizeSession", PREPARING, watch.prepared_ns)
    yield OperatorTime("input and output", PASSING, copied_ns - watch.prepared_ns)
    for each in watch.operators:
        kind, _, computes = each.kind.partition(" ")
        yield OperatorTime(
            name=each.name,
            kind=kind,
            ns=each.ended_ns - each.began_ns,
            sources=(each.name, *_shorter(each.name)),
            implementation=computes,
        )


def _shorter(name: str) -> Iterator[str]:
    """Yield a name without what was appended to it, once and again."""
    while (shorter := ADDED.sub("", name)) != name:
        yield shorter
        name = shorter
