"""One process, one dynamic session: runs input of the lengths that it is told.

Commands come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`bench.worker`.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from bench.base.child import answer, die_with_parent
from bench.base.memory import memory_of
from bench.base.values import Value
from bench.embed.audio_input import Source, read_source
from bench.embed.pipeline import Pipeline
from bench.explain.divergence import compare
from bench.explain.messages import Failed
from bench.explain.visits import Visited
from bench.results.cells import Cell
from engines import registry
from engines.protocol import EngineError, FloatArray, ModelArtifact, SessionOptions
from frontends.chunking import WHOLE_UTTERANCE


class LengthSpec(Value):
    """What a process opens; features of other lengths are made of this recording's."""

    cell: Cell
    artifact: ModelArtifact
    speech: Source
    cores: tuple[int, ...]


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
        cell = spec.cell
        options = SessionOptions(cell.threads, cell.settings, cell.precision)
        engine = registry.on(cell.engine, cell.settings)
        found, support = engine.probe(), engine.supports(spec.artifact, options)
        if not found.ok or not support.ok:
            raise EngineError(support.reason if found.ok else found.reason)
        pipeline = Pipeline.for_model(spec.artifact, WHOLE_UTTERANCE)
        self._features_TM = pipeline.first_chunk(read_source(spec.speech))[0]
        self._session = engine.open(spec.artifact, options)
        self._first: dict[int, FloatArray] = {}
        self.opened = SessionOpened(version=found.version, rss_bytes=memory_of().steady_bytes)

    def round(self, order: Round) -> RoundDone:
        """Run without a pause: after one, a processor is slower at first.

        Raises:
            EngineError: naming the length that could not be run.
        """
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
            rss_bytes.append(memory_of().steady_bytes)
            first_BD = self._first.setdefault(num_frames, embedding_BD)
            moved = max(moved, compare(embedding_BD, first_BD).error or 0.0)
        return Visited(num_frames=num_frames, ns=tuple(ns), rss_bytes=tuple(rss_bytes), moved=moved)


def serve(spec: LengthSpec, fd: int) -> None:
    """Answer orders until the parent is gone."""
    try:
        worker = LengthWorker(spec)
        answer(fd, worker.opened)
        for line in sys.stdin:
            answer(fd, worker.round(Round.model_validate_json(line)))
    except Exception as error:  # whatever a runtime throws ends this engine alone
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Failed(reason=kind + " ".join(str(error).split())))


def main(argv: list[str] | None = None) -> None:
    """Run a worker from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.explain.length_worker")
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args(argv)
    die_with_parent()
    spec = LengthSpec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    # Before a runtime is loaded: thread pools take over the affinity that they find.
    os.sched_setaffinity(0, spec.cores)
    serve(spec, arguments.answer_fd)


if __name__ == "__main__":
    main()
