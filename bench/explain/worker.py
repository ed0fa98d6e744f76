"""One process, one engine: runs a chunk with the runtime's profiler and without it, in turns."""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from rtfbench.embed import reference
from rtfbench.embed.audio_input import read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.base import SessionBase
from rtfbench.engines.profiling import ProfiledRun, Profiler
from rtfbench.engines.protocol import FloatArray
from rtfbench.explain.process import (
    COMMAND,
    Finish,
    Profile,
    ProfileOpened,
    ProfileSpec,
    ProfileTurn,
    Turned,
    run_worker,
    typical,
    usable_engine,
)
from rtfbench.results import protocols

Given = TypeVar("Given")
Opener = Callable[[], SessionBase]
#: None where the runtime tells of no operators.
ProfilerOpener = Callable[[], Profiler | None]


class WarmRuns:
    """Two sessions that are kept. Every call runs once untimed: the other was at work before."""

    def __init__(self, open_: Opener, profiling: ProfilerOpener, features_BTM: FloatArray) -> None:
        self._features_BTM = features_BTM
        self._session, self._profiler = open_(), profiling()
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

    def __init__(self, open_: Opener, profiling: ProfilerOpener, features_BTM: FloatArray) -> None:
        self._open, self._profiling, self._features_BTM = open_, profiling, features_BTM
        self._runs: list[ProfiledRun] = []

    def plain(self, count: int) -> tuple[int, ...]:
        """Open and run without a profiler."""
        found: list[int] = []
        for _ in range(count):
            session = self._open()
            found.append(timed(session.run, self._features_BTM))
            session.close()
        return tuple(found)

    def profiled(self, count: int) -> tuple[int, ...]:
        """Open and run with one."""
        found: list[int] = []
        for _ in range(count):
            profiler = self._profiling()
            if profiler is None:
                return ()
            found.append(profiler.run(self._features_BTM))
            self._runs += profiler.finish()
        return tuple(found)

    def finish(self) -> list[ProfiledRun]:
        """Return what was taken."""
        return self._runs


def timed(call: Callable[[Given], object], given: Given) -> int:
    """Return how many nanoseconds a call takes."""
    before = time.perf_counter_ns()
    call(given)
    return time.perf_counter_ns() - before


def answers(spec: ProfileSpec) -> Iterator[ProfileOpened | Turned | Profile]:
    """Open an engine, compare its embedding with the reference, then obey what comes as input.

    Raises:
        EngineError: the engine is not there, or does not take the model.
    """
    engine, version = usable_engine(spec)
    pipeline = Pipeline.for_model(spec.artifact, spec.cell.chunk_samples)
    features_BTM = pipeline.first_chunk(read_source(spec.speech, pipeline.sample_rate_hz))
    asked = spec.artifact, spec.cell.options
    opening, profiling = partial(engine.open, *asked), partial(engine.profiler, *asked)
    before = time.perf_counter_ns()
    session = opening()
    load_ns = time.perf_counter_ns() - before
    reference_BD = reference.load_reference(spec.reference)[spec.speech.name][:1]
    parity = reference.parity_of(session.run(features_BTM), reference_BD, spec.cell.precision)
    session.close()
    fresh = protocols.named(spec.cell.protocol).fresh_session
    kind: type[WarmRuns | FirstRuns] = FirstRuns if fresh else WarmRuns
    runs = kind(opening, profiling, features_BTM)
    _turn(runs, ProfileTurn(runs=1))
    round_ns = timed(partial(_turn, runs), ProfileTurn(runs=1))
    yield ProfileOpened(
        version=version,
        wrong="" if parity.ok else reference.why_wrong(parity, spec.cell.precision),
        fewer_operations=engine.fewer_operations,
        load_ns=load_ns,
        round_ns=round_ns,
    )
    for line in sys.stdin:
        match COMMAND.validate_json(line):
            case ProfileTurn() as order:
                yield _turn(runs, order)
            case Finish():
                # A runtime may tell of its operators, and have nothing to tell of a first run.
                told = [run for run in runs.finish() if sum(each.ns for each in run.operators)]
                yield typical(told) if told else Profile(wall_ns=0, runs=0, operators=())


def _turn(runs: WarmRuns | FirstRuns, order: ProfileTurn) -> Turned:
    if order.profiled_first:
        profiled_ns = runs.profiled(order.runs)
        return Turned(plain_ns=runs.plain(order.runs), profiled_ns=profiled_ns)
    plain_ns = runs.plain(order.runs)
    return Turned(plain_ns=plain_ns, profiled_ns=runs.profiled(order.runs))


if __name__ == "__main__":
    run_worker(ProfileSpec, answers)
