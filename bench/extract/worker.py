r"""One process with one session, kept for all of the utterances that it is given.

Tasks come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`rtfbench.worker`.
"""

import argparse
import os
import select
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from rtfbench.base.child import answer, die_with_parent, read_spec
from rtfbench.embed import batches
from rtfbench.embed.pipeline import Embedded
from rtfbench.engines.protocol import EngineError
from rtfbench.extract.messages import (
    EmbedderSpec,
    Embedding,
    ExtractionSetup,
    Opened,
    Refused,
    Task,
    Unusable,
)
from rtfbench.extract.session import Computed, Counted, EmbeddingSession
from rtfbench.frontends.addresses import Place
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.parts import Part
from rtfbench.measure.machine.devices import HOST_CPU


class BatchSession(EmbeddingSession):
    """A session that takes batches; whether its model takes any is asked from size 2 on."""

    def __init__(self, setup: ExtractionSetup, threads: int, batch: int) -> None:
        """Open the session, and try whether a batch gives what its chunks give alone.

        Raises:
            EngineError: the runtime is missing, does not take the model, or takes no batches.
        """
        super().__init__(setup, threads)
        self._batch = batch
        if batch > 1:
            frames, feat_dim = self._pipeline.tried_frames, setup.artifact.feat_dim
            why = batches.refusal(self._session, num_frames=frames, feat_dim=feat_dim)
            if why:
                raise EngineError(f"{setup.engine}, --batch {batch}: {why}; leave --batch out")

    def embed_files(
        self, recordings: Sequence[tuple[Place, Part | None]]
    ) -> list[Computed | Exception]:
        """Embed recordings, or parts of files, together; one that comes alone shares no run.

        Returns:
            One a recording, in their order; what `embed_file` raises where there is no embedding.
        """
        many = [self._read(path, part) for path, part in recordings]
        found: Sequence[Embedded | Exception | None] = [None] * len(many)
        if len(many) > 1:
            try:
                found = self._pipeline.embed_together(
                    self._session,
                    many,
                    batch=self._batch,
                    keep=[counted.keep for counted in many],
                )
            except Exception:  # some of them may yet do alone
                many = [self._read(path, part) for path, part in recordings]
        return [self._told(counted, each) for counted, each in zip(many, found, strict=True)]

    def _told(self, counted: Counted, found: Embedded | Exception | None) -> Computed | Exception:
        """Return the outcome of a recording; one of which nothing is found runs alone."""
        try:
            if found is None:
                return self._embed(counted)
            with self._naming(counted):
                if isinstance(found, Exception):
                    raise found
                return self._computed(counted, found)
        except Exception as error:  # whatever a runtime throws is this recording's alone
            return error


class TaskBatches:
    """Reads tasks, as JSON lines; those that are there already make one batch."""

    def __init__(self, fd: int, most: int) -> None:
        """Read nothing yet.

        Args:
            fd: the pipe that they come by.
            most: how many make a batch.
        """
        self._fd, self._most, self._pending, self._ended = fd, most, b"", False

    def __iter__(self) -> Iterator[list[Task]]:
        """Yield one task or more at a time, until the parent closes the pipe."""
        waiting: list[Task] = []
        while True:
            waiting += self._read(block=not waiting)
            if not waiting:
                return
            together = waiting[: self._most]
            count = next((i for i, task in enumerate(together) if task.alone), self._most) or 1
            some, waiting = waiting[:count], waiting[count:]
            yield some

    def _read(self, *, block: bool) -> list[Task]:
        """Return the tasks that have come; with `block`, wait until there is one or no more."""
        while not self._ended and (block or select.select([self._fd], [], [], 0)[0]):
            data = os.read(self._fd, 1 << 16)
            self._ended = not data
            self._pending += data
            block = block and b"\n" not in self._pending
        *lines, self._pending = self._pending.split(b"\n")
        return [Task.model_validate_json(line) for line in lines]


def embed(session: BatchSession, tasks: list[Task]) -> Iterator[Embedding | Unusable]:
    """Compute utterances' embeddings together, or say why there is none."""
    many = session.embed_files([(task.path, task.part) for task in tasks])
    for task, found in zip(tasks, many, strict=True):
        yield _answer(task, found)


def _answer(task: Task, found: Computed | Exception) -> Embedding | Unusable:
    if isinstance(found, Computed):
        return Embedding.of(
            found.embedding_D,
            index=task.index,
            audio_ns=found.audio_ns,
            processing_ns=found.processing_ns,
            kept_frames=found.kept_frames,
            frames=found.frames,
            file_rate_hz=found.file_rate_hz,
        )
    reason = str(found)
    if not isinstance(found, AudioError | EngineError):
        traceback.print_exception(found)
        reason = f"{type(found).__name__}: {found}"
    return Unusable(index=task.index, reason=" ".join(reason.split()))


def serve(spec: EmbedderSpec, fd: int) -> None:
    """Answer tasks until the parent closes the pipe or is gone."""
    try:
        session = BatchSession(spec.setup, spec.options.threads, spec.options.batch)
    except Exception as error:  # a plug-in may fail in any way
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Refused(reason=kind + " ".join(str(error).split())))
        return
    answer(fd, Opened())
    for tasks in TaskBatches(sys.stdin.fileno(), spec.options.batch):
        for each in embed(session, tasks):
            answer(fd, each)


def main(argv: list[str] | None = None) -> None:
    """Run a worker from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rtfbench.extract.worker", description=__doc__)
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args(argv)
    die_with_parent()
    spec = EmbedderSpec.model_validate_json(read_spec(arguments.spec))
    HOST_CPU.pin(spec.cores)  # before a runtime is loaded
    serve(spec, arguments.answer_fd)


if __name__ == "__main__":
    main()
