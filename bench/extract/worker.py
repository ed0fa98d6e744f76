r"""One process with one session, kept for all of the utterances that it is given.

Tasks come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`bench.worker`.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

from bench.base.child import answer, die_with_parent
from bench.extract.messages import EmbedderSpec, Embedding, Opened, Refused, Task, Unusable
from bench.extract.session import EmbeddingSession
from engines.protocol import EngineError
from frontends.audio import AudioError


def embed(session: EmbeddingSession, task: Task) -> Embedding | Unusable:
    """Compute an utterance's embedding, or say why there is none."""
    try:
        found = session.embed_file(task.path, task.part)
        return Embedding.of(
            found.embedding_D,
            index=task.index,
            audio_ns=found.audio_ns,
            processing_ns=found.processing_ns,
        )
    except (AudioError, EngineError) as error:
        reason = str(error)
    except Exception as error:  # whatever a runtime throws ends as this utterance's line
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    return Unusable(index=task.index, reason=" ".join(reason.split()))


def serve(spec: EmbedderSpec, fd: int) -> None:
    """Answer tasks until the parent closes the pipe or is gone."""
    try:
        session = EmbeddingSession(spec.setup, spec.threads)
    except Exception as error:  # a plug-in may fail in any way
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Refused(reason=kind + " ".join(str(error).split())))
        return
    answer(fd, Opened())
    for line in sys.stdin:
        answer(fd, embed(session, Task.model_validate_json(line)))


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
