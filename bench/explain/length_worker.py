"""One process, one dynamic session: runs input of the lengths that it is told."""

import time
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from rtfbench.base.values import Value
from rtfbench.embed.audio_input import Source, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.protocol import EngineError, FloatArray
from rtfbench.explain.divergence import compare
from rtfbench.explain.process import Failed, OpenSpec, run_worker, usable_engine
from rtfbench.explain.visits import Visited
from rtfbench.measure.machine import devices


class LengthSpec(OpenSpec):
    """What a process opens; features of all lengths are made of this recording's."""

    speech: Source


class Round(Value):
    """Run input of these lengths, each so often in a row; answer `RoundDone`."""

    num_frames: tuple[int, ...]
    runs: int


class SessionOpened(Value):
    """The session is open; the process's resident size."""

    kind: Literal["opened"] = "opened"
    version: str
    rss_bytes: int


class RoundDone(Value):
    """What the visits of a round took, in their order."""

    kind: Literal["done"] = "done"
    visits: tuple[Visited, ...]


Reply = SessionOpened | RoundDone | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


class LengthWorker:
    """An open session, and the first embedding of every length."""

    def __init__(self, spec: LengthSpec) -> None:
        """Open it.

        Raises:
            EngineError: the engine is not there, or does not take the model.
        """
        engine, version = usable_engine(spec)
        pipeline = Pipeline.for_model(spec.artifact)
        waveform = read_source(spec.speech, pipeline.sample_rate_hz)
        self._features_TM = pipeline.first_chunk(waveform)[0]
        self._device = devices.named(spec.cell.device)
        self._session = engine.open(spec.artifact, spec.cell.options)
        self._first: dict[int, FloatArray] = {}
        self.opened = SessionOpened(version=version, rss_bytes=self._device.memory().steady_bytes)

    def obey(self, line: str) -> RoundDone:
        """Run a round without a pause: after one, a processor is slower at first.

        Raises:
            EngineError: naming the length that could not be run.
        """
        order = Round.model_validate_json(line)
        try:
            visits: list[Visited] = []
            for num_frames in order.num_frames:
                visits.append(self._visit(num_frames, order.runs))
        except EngineError as error:
            raise EngineError(f"{num_frames} frames: {error}") from error
        return RoundDone(visits=tuple(visits))

    def _visit(self, num_frames: int, runs: int) -> Visited:
        """Run, and look at the memory after each run."""
        frames = np.arange(num_frames) % len(self._features_TM)
        features_BTM = np.ascontiguousarray(self._features_TM[frames][np.newaxis])
        ns: list[int] = []
        rss_bytes: list[int] = []
        moved = 0.0
        for _ in range(runs):
            before = time.perf_counter_ns()
            embedding_BD = self._session.run(features_BTM)
            ns.append(time.perf_counter_ns() - before)
            rss_bytes.append(self._device.memory().steady_bytes)
            first_BD = self._first.setdefault(num_frames, embedding_BD)
            moved = max(moved, compare(embedding_BD, first_BD).error or 0.0)
        return Visited(num_frames=num_frames, ns=tuple(ns), rss_bytes=tuple(rss_bytes), moved=moved)


if __name__ == "__main__":
    run_worker("rtfbench.explain.length_worker", LengthSpec, LengthWorker)
