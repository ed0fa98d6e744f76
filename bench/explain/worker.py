"""One process, one engine: runs a chunk with the runtime's profiler and without it, in turns."""

import time

from bench.embed import parity, reference
from bench.embed.audio_input import read_source
from bench.embed.pipeline import Pipeline
from bench.explain.messages import (
    COMMAND,
    Finish,
    Opened,
    Profile,
    ProfileSpec,
    Turn,
    Turned,
)
from bench.explain.process import run_worker, usable_engine
from bench.explain.runs import FirstRuns, Opener, Runs, WarmRuns
from bench.explain.typical import typical
from engines.protocol import FloatArray


class ProfileWorker:
    """An engine on one chunk, which is compared with the reference before anything is timed."""

    def __init__(self, spec: ProfileSpec) -> None:
        """Open a session.

        Raises:
            EngineError: the engine is not there, or does not take the model.
        """
        engine, version = usable_engine(spec)
        features_BTM = _first_chunk(spec)
        opener = Opener(engine, spec.artifact, spec.options)
        before = time.perf_counter_ns()
        session = opener.session()
        load_ns = time.perf_counter_ns() - before
        wrong = _wrong(spec, session.run(features_BTM))
        session.close()
        kind = FirstRuns if spec.cell.protocol == "published" else WarmRuns
        self._runs: Runs = kind(opener, features_BTM)
        self.turn(Turn(runs=1))
        before = time.perf_counter_ns()
        turned = self.turn(Turn(runs=1))
        self.opened = Opened(
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
            case Turn() as order:
                return self.turn(order)
            case Finish():
                return self.finish()

    def turn(self, order: Turn) -> Turned:
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
    return pipeline.first_chunk(read_source(spec.speech))


def _wrong(spec: ProfileSpec, embedding_BD: FloatArray) -> str:
    """Say how far the chunk's embedding is from the reference's, nothing where that is allowed."""
    reference_BD = reference.load_reference(spec.reference)[spec.speech.name][:1]
    found = parity.parity_of(embedding_BD, reference_BD, spec.cell.precision)
    return "" if found.ok else parity.why_wrong(found, spec.cell.precision)


def main(argv: list[str] | None = None) -> None:
    """Run a worker from the command line."""
    run_worker("bench.explain.worker", ProfileSpec, ProfileWorker, argv)


if __name__ == "__main__":
    main()
