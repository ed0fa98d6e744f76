"""One process, one engine: runs a chunk with the runtime's profiler and without it, in turns."""

import time
from collections.abc import Callable
from functools import partial

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
    usable_engine,
)
from rtfbench.explain.typical import typical
from rtfbench.results import protocols

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


def timed(run: Callable[[FloatArray], object], features_BTM: FloatArray) -> int:
    """Return how many nanoseconds a call takes."""
    before = time.perf_counter_ns()
    run(features_BTM)
    return time.perf_counter_ns() - before


class ProfileWorker:
    """An engine on one chunk, which is compared with the reference before anything is timed."""

    def __init__(self, spec: ProfileSpec) -> None:
        """Open a session.

        Raises:
            EngineError: the engine is not there, or does not take the model.
        """
        engine, version = usable_engine(spec)
        features_BTM = _first_chunk(spec)
        asked = spec.artifact, spec.cell.options
        opening, profiling = partial(engine.open, *asked), partial(engine.profiler, *asked)
        before = time.perf_counter_ns()
        session = opening()
        load_ns = time.perf_counter_ns() - before
        wrong = _wrong(spec, session.run(features_BTM))
        session.close()
        kind: type[WarmRuns | FirstRuns] = (
            FirstRuns if protocols.named(spec.cell.protocol).fresh_session else WarmRuns
        )
        self._runs = kind(opening, profiling, features_BTM)
        self.turn(ProfileTurn(runs=1))
        before = time.perf_counter_ns()
        turned = self.turn(ProfileTurn(runs=1))
        self.opened = ProfileOpened(
            version=version,
            profiled=bool(turned.profiled_ns),
            wrong=wrong,
            fewer_operations=engine.fewer_operations,
            load_ns=load_ns,
            round_ns=time.perf_counter_ns() - before,
        )

    def obey(self, line: str) -> Turned | Profile:
        """Take a turn, or finish."""
        match COMMAND.validate_json(line):
            case ProfileTurn() as order:
                return self.turn(order)
            case Finish():
                return self.finish()

    def turn(self, order: ProfileTurn) -> Turned:
        """Run the chunk so often with the profiler and without."""
        if order.profiled_first:
            profiled_ns = self._runs.profiled(order.runs)
            return Turned(plain_ns=self._runs.plain(order.runs), profiled_ns=profiled_ns)
        plain_ns = self._runs.plain(order.runs)
        return Turned(plain_ns=plain_ns, profiled_ns=self._runs.profiled(order.runs))

    def finish(self) -> Profile:
        """Return the typical run; it is empty without a profiler."""
        # A runtime may tell of its operators, and have nothing to tell of a first run.
        runs = [run for run in self._runs.finish() if sum(each.ns for each in run.operators)]
        return typical(runs) if runs else Profile(wall_ns=0, runs=0, operators=())


def _first_chunk(spec: ProfileSpec) -> FloatArray:
    pipeline = Pipeline.for_model(spec.artifact, spec.cell.chunk_samples)
    return pipeline.first_chunk(read_source(spec.speech, pipeline.sample_rate_hz))


def _wrong(spec: ProfileSpec, embedding_BD: FloatArray) -> str:
    """Say how far the chunk's embedding is from the reference's, nothing where that is allowed."""
    reference_BD = reference.load_reference(spec.reference)[spec.speech.name][:1]
    found = reference.parity_of(embedding_BD, reference_BD, spec.cell.precision)
    return "" if found.ok else reference.why_wrong(found, spec.cell.precision)


if __name__ == "__main__":
    run_worker("rtfbench.explain.worker", ProfileSpec, ProfileWorker)
