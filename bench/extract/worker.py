r"""One process with one session, kept for all of the utterances that it is given.

Tasks come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`bench.worker`.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from bench.base.child import answer, die_with_parent
from bench.extract.batch_session import BatchSession
from bench.extract.messages import EmbedderSpec, Embedding, Opened, Refused, Task, Unusable
from bench.extract.session import Computed
from bench.extract.task_batches import TaskBatches
from engines.protocol import EngineError
from frontends.audio import AudioError


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
        )
    reason = str(found)
    if not isinstance(found, AudioError | EngineError):
        traceback.print_exception(found)
        reason = f"{type(found).__name__}: {found}"
    return Unusable(index=task.index, reason=" ".join(reason.split()))


def serve(spec: EmbedderSpec, fd: int) -> None:
    """Answer tasks until the parent closes the pipe or is gone."""
    try:
        session = BatchSession(spec.setup, spec.threads, spec.batch)
    except Exception as error:  # a plug-in may fail in any way
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Refused(reason=kind + " ".join(str(error).split())))
        return
    answer(fd, Opened())
    for tasks in TaskBatches(sys.stdin.fileno(), spec.batch):
        for each in embed(session, tasks):
            answer(fd, each)


def main(argv: list[str] | None = None) -> None:
    """Run a worker from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.extract.worker", description=__doc__)
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args(argv)
    die_with_parent()
    spec = EmbedderSpec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    # Before a runtime is loaded: thread pools take over the affinity that they find.
    os.sched_setaffinity(0, spec.cores)
    serve(spec, arguments.answer_fd)


if __name__ == "__main__":
    main()
