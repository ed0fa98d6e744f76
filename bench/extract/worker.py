r"""One process with one session, kept for all of the utterances that it is given.

Tasks come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`rtfbench.worker`.
"""

import argparse
import os
import select
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from rtfbench.base.child import answer, die_with_parent, read_spec
from rtfbench.engines.protocol import EngineError
from rtfbench.extract.messages import (
    Computed,
    EmbedderSpec,
    Embedding,
    Opened,
    Refused,
    Task,
    Unusable,
)
from rtfbench.extract.session import EmbeddingSession
from rtfbench.frontends.audio import AudioError
from rtfbench.measure.machine.devices import HOST_CPU


def batches_of_tasks(fd: int, most: int) -> Iterator[list[Task]]:
    """Yield tasks until the parent closes the pipe; those that are there already make one batch."""
    waiting: list[Task] = []
    pending, ended = b"", False
    while True:
        block = not waiting
        while not ended and (block or select.select([fd], [], [], 0)[0]):
            data = os.read(fd, 1 << 16)
            ended = not data
            pending += data
            block = block and b"\n" not in pending
        *lines, pending = pending.split(b"\n")
        waiting += map(Task.model_validate_json, lines)
        if not waiting:
            return
        count = next((i for i, task in enumerate(waiting[:most]) if task.alone), most) or 1
        yield waiting[:count]
        del waiting[:count]


def embed(session: EmbeddingSession, tasks: list[Task]) -> Iterator[Embedding | Unusable]:
    """Compute utterances' embeddings together, or say why there is none."""
    many = session.embed_files([(task.path, task.part) for task in tasks])
    for task, found in zip(tasks, many, strict=True):
        if isinstance(found, Computed):
            yield Embedding.of(found, task.index)
            continue
        if not isinstance(found, AudioError | EngineError):
            traceback.print_exception(found)
        yield Unusable(index=task.index, reason=_why(found, AudioError, EngineError))


def _why(error: Exception, *foreseen: type[Exception]) -> str:
    """Return what went wrong in one line, with its kind where that was not foreseen."""
    kind = "" if isinstance(error, foreseen) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def main() -> None:
    """Answer tasks until the parent closes the pipe or is gone."""
    parser = argparse.ArgumentParser(prog="python -m rtfbench.extract.worker", description=__doc__)
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args()
    die_with_parent()
    spec = EmbedderSpec.model_validate_json(read_spec(arguments.spec))
    HOST_CPU.pin(spec.cores)  # before a runtime is loaded
    fd, options = arguments.answer_fd, spec.options
    try:
        session = EmbeddingSession(spec.setup, options.threads, options.batch)
    except Exception as error:  # a plug-in may fail in any way
        traceback.print_exc()
        answer(fd, Refused(reason=_why(error, EngineError)))
        return
    answer(fd, Opened())
    for tasks in batches_of_tasks(sys.stdin.fileno(), options.batch):
        for each in embed(session, tasks):
            answer(fd, each)


if __name__ == "__main__":
    main()
