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
from bench.embed.pipeline import DEAF, Pipeline, check_embedding
from bench.extract.messages import EmbedderSpec, Embedding, Opened, Refused, Task, Unusable
from engines import registry
from engines.protocol import EngineError, FloatArray, Session, SessionOptions
from frontends.audio import AudioError
from frontends.parts import read_part

NS_PER_S = 1_000_000_000


class Embedder:
    """An open session behind a front end."""

    def __init__(self, spec: EmbedderSpec) -> None:
        """Open the session.

        Raises:
            EngineError: the runtime is missing or does not take the model.
        """
        artifact = spec.setup.artifact
        options = SessionOptions(spec.threads, spec.setup.settings, spec.setup.precision)
        engine = registry.on(spec.setup.engine, options.settings)
        found = engine.probe()
        if not found.ok:
            raise EngineError(f"{engine.name}: {found.reason}")
        support = engine.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        self._setup = spec.setup
        self._embedding_dim = artifact.embedding_dim
        self._pipeline = Pipeline.for_model(artifact, spec.setup.chunk_samples)
        self._session: Session = engine.open(artifact, options)
        # Asked at the first recording: whoever crashes or hangs then is replaced, or given up.
        self._is_proved = not engine.computes

    def embed(self, task: Task) -> Embedding | Unusable:
        """Compute an utterance's embedding, or say why there is none."""
        try:
            return self._embed(task)
        except (AudioError, EngineError) as error:
            reason = str(error)
        except Exception as error:  # whatever a runtime throws ends as this utterance's line
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
        return Unusable(index=task.index, reason=" ".join(reason.split()))

    def _embed(self, task: Task) -> Embedding:
        setup, config, samples = self._setup, self._pipeline.policy.fbank, 0

        def counted() -> Iterator[FloatArray]:
            nonlocal samples
            for block in read_part(
                task.path, task.part, channel=setup.channel, resample=setup.resample
            ):
                samples += len(block)
                yield block

        try:
            embedded = self._pipeline.embed_blocks(self._session, counted())
            check_embedding(embedded.embedding_D, self._embedding_dim)
            self._prove()
        except EngineError as error:
            raise EngineError(f"{task.path}: {error}") from error
        except ValueError as error:
            if isinstance(error, AudioError) or config.num_frames(samples):
                raise
            raise AudioError(
                f"{task.path}: too short for one frame; it has {samples} samples and needs "
                f"{config.frame_length}"
            ) from error
        return Embedding.of(
            embedded.embedding_D,
            index=task.index,
            audio_ns=samples * NS_PER_S // config.sample_rate_hz,
            processing_ns=embedded.processing_ns,
        )

    def _prove(self) -> None:
        """Refuse a session that answers whatever it hears alike.

        Raises:
            EngineError: its model or the file of it is damaged.
        """
        artifact = self._setup.artifact
        if not self._is_proved:
            if not self._pipeline.listens(self._session, artifact.feat_dim):
                raise EngineError(f"{artifact.path.name}: {DEAF}")
            self._is_proved = True


def serve(spec: EmbedderSpec, fd: int) -> None:
    """Answer tasks until the parent closes the pipe or is gone."""
    try:
        embedder = Embedder(spec)
    except Exception as error:  # a plug-in may fail in any way
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Refused(reason=kind + " ".join(str(error).split())))
        return
    answer(fd, Opened())
    for line in sys.stdin:
        answer(fd, embedder.embed(Task.model_validate_json(line)))


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
