"""Runs of one chunk with the runtime's profiler and without: of a warmed session, or first runs."""

import time
from collections.abc import Callable
from typing import Protocol

from engines.base import EngineBase
from engines.profiling import ProfiledRun, Profiler
from engines.protocol import FloatArray, ModelArtifact, Session, SessionOptions


class Opener:
    """A model that is opened with a profiler or without."""

    def __init__(
        self, engine: EngineBase, artifact: ModelArtifact, options: SessionOptions
    ) -> None:
        self._engine, self._artifact, self._options = engine, artifact, options

    def session(self) -> Session:
        """Open it without."""
        return self._engine.open(self._artifact, self._options)

    def profiler(self) -> Profiler | None:
        """Open it with; None where the runtime tells of no operators."""
        return self._engine.profiler(self._artifact, self._options)


class Runs(Protocol):
    """Where times come from; those of profiled runs are empty where there is no profiler."""

    def plain(self, count: int) -> tuple[int, ...]:
        """Run without a profiler; nanoseconds of each run."""
        ...

    def profiled(self, count: int) -> tuple[int, ...]:
        """Run with one; nanoseconds of each run."""
        ...

    def finish(self) -> list[ProfiledRun]:
        """Return every profiled run that was timed; nothing can be run afterwards."""
        ...


class WarmRuns:
    """Two sessions that are kept. Every call runs once untimed: the other was at work before."""

    def __init__(self, opener: Opener, features_BTM: FloatArray) -> None:
        self._features_BTM = features_BTM
        self._session = opener.session()
        self._profiler = opener.profiler()
        self._timed: list[bool] = []

    def plain(self, count: int) -> tuple[int, ...]:
        """Run the session without a profiler."""
        self._session.run(self._features_BTM)
        return tuple(timed(self._session.run, self._features_BTM) for _ in range(count))

    def profiled(self, count: int) -> tuple[int, ...]:
        """Run the other one."""
        if self._profiler is None:
            return ()
        self._profiler.run(self._features_BTM)
        self._timed += [False, *[True] * count]
        return tuple(self._profiler.run(self._features_BTM) for _ in range(count))

    def finish(self) -> list[ProfiledRun]:
        """Close both."""
        self._session.close()
        runs = self._profiler.finish() if self._profiler is not None else []
        return [run for run, was_timed in zip(runs, self._timed, strict=True) if was_timed]


class FirstRuns:
    """A fresh session for every run, opened before the clock starts."""

    def __init__(self, opener: Opener, features_BTM: FloatArray) -> None:
        self._opener, self._features_BTM = opener, features_BTM
        self._runs: list[ProfiledRun] = []

    def plain(self, count: int) -> tuple[int, ...]:
        """Open and run without a profiler."""
        found: list[int] = []
        for _ in range(count):
            session = self._opener.session()
            found.append(timed(session.run, self._features_BTM))
            session.close()
        return tuple(found)

    def profiled(self, count: int) -> tuple[int, ...]:
        """Open and run with one."""
        found: list[int] = []
        for _ in range(count):
            profiler = self._opener.profiler()
            if profiler is None:
                return ()
            found.append(profiler.run(self._features_BTM))
            self._runs += profiler.finish()
        return tuple(found)

    def finish(self) -> list[ProfiledRun]:
        """Return what was taken."""
        return self._runs


def timed(run: Callable[[FloatArray], object], features_BTM: FloatArray) -> int:
    """Return how many nanoseconds a call takes."""
    before = time.perf_counter_ns()
    run(features_BTM)
    return time.perf_counter_ns() - before
