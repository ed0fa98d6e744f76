"""One process, one dynamic session: runs input of the lengths that it is told."""

import time
from collections.abc import Iterator

import numpy as np
from pydantic import TypeAdapter

from rtfbench.base.values import Value
from rtfbench.embed.audio_input import read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.protocol import EngineError, FloatArray
from rtfbench.explain.divergence import compare
from rtfbench.explain.process import Failed, OpenSpec, run_worker, usable_engine
from rtfbench.explain.visits import IN_A_ROW, Visited
from rtfbench.measure.machine import devices


class LengthSpec(OpenSpec):
    """What a process opens, and the numbers of frames that come in each of its rounds."""

    rounds: tuple[tuple[int, ...], ...]


class SessionOpened(Value):
    """The session is open; the process's resident size."""

    version: str
    rss_bytes: int


class RoundDone(Value):
    """What the visits of a round took, in their order."""

    visits: tuple[Visited, ...]


Reply = SessionOpened | RoundDone | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)


def rounds_of(spec: LengthSpec) -> Iterator[SessionOpened | RoundDone]:
    """Open a session and run round after round; after a pause, a processor is slower at first.

    Raises:
        EngineError: the engine is not there, does not take the model, or fails at a length, which
            the error names.
    """
    engine, version = usable_engine(spec)
    pipeline = Pipeline.for_model(spec.artifact)
    features_TM = pipeline.first_chunk(read_source(spec.speech, pipeline.sample_rate_hz))[0]
    device = devices.named(spec.cell.device)
    session = engine.open(spec.artifact, spec.cell.options)
    yield SessionOpened(version=version, rss_bytes=device.memory().steady_bytes)
    first: dict[int, FloatArray] = {}

    def visit(num_frames: int) -> Visited:
        """Run, and look at the memory after each run."""
        frames = np.arange(num_frames) % len(features_TM)
        features_BTM = np.ascontiguousarray(features_TM[frames][np.newaxis])
        ns: list[int] = []
        rss_bytes: list[int] = []
        moved = 0.0
        for _ in range(IN_A_ROW):
            before = time.perf_counter_ns()
            try:
                embedding_BD = session.run(features_BTM)
            except EngineError as error:
                raise EngineError(f"{num_frames} frames: {error}") from error
            ns.append(time.perf_counter_ns() - before)
            rss_bytes.append(device.memory().steady_bytes)
            first_BD = first.setdefault(num_frames, embedding_BD)
            moved = max(moved, compare(embedding_BD, first_BD).error or 0.0)
        return Visited(num_frames=num_frames, ns=tuple(ns), rss_bytes=tuple(rss_bytes), moved=moved)

    for frames in spec.rounds:
        yield RoundDone(visits=tuple(map(visit, frames)))


if __name__ == "__main__":
    run_worker(LengthSpec, rounds_of)
