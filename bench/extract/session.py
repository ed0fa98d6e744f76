"""An open model behind a front end: from a recording to its embedding, in this process."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rtfbench.embed import batches
from rtfbench.embed.pipeline import (
    DEAF,
    Embedded,
    KeepFrames,
    NoSignalError,
    Pipeline,
    check_embedding,
)
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import EngineError, FloatArray, SessionOptions
from rtfbench.extract.messages import Computed, ExtractionSetup, Took
from rtfbench.frontends import vad
from rtfbench.frontends.addresses import Place
from rtfbench.frontends.audio import AudioError
from rtfbench.frontends.vad import Voiced
from rtfbench.inputs.parts import Part, read_part

NS_PER_S = 1_000_000_000


class Counted:
    """The blocks of a recording as they come, and how many samples came so far.

    `find_voiced` looks through it once more for what is speech; None where all counts as such.
    """

    def __init__(self, blocks: Iterable[FloatArray], name: str) -> None:
        self.blocks, self.name, self.samples = blocks, name, 0
        self.find_voiced: Callable[[], Voiced] | None = None
        self.kept_frames = self.frames = self.file_rate_hz = 0

    def tell_rate(self, rate_hz: int) -> None:
        """Take note of the file's own sample rate."""
        self.file_rate_hz = rate_hz

    @property
    def keep(self) -> KeepFrames | None:
        """Leaves out frames that are no speech, and remembers how many; None where all are."""
        return None if self.find_voiced is None else self._keep

    def _keep(self, blocks_TM: Iterable[FloatArray]) -> Iterator[FloatArray]:
        # Not before features are asked for: what it raises is this recording's alone.
        assert self.find_voiced is not None
        voiced_T = self.find_voiced()
        self.kept_frames, self.frames = int(voiced_T.sum()), len(voiced_T)
        if self.frames and not self.kept_frames:
            raise AudioError(f"{self.name}: no frame is speech, says --vad; leave it out for this")
        yield from vad.select(blocks_TM, voiced_T)

    def __iter__(self) -> Iterator[FloatArray]:
        for block in self.blocks:
            self.samples += len(block)
            yield block


class EmbeddingSession:
    """A session of an engine with the front end that its model needs."""

    def __init__(self, setup: ExtractionSetup, threads: int, batch: int = 1) -> None:
        """Open the session, and from size 2 on try whether a batch gives what chunks give alone.

        Raises:
            EngineError: the runtime is missing, does not take the model, or takes no batches.
        """
        artifact = setup.artifact
        options = SessionOptions(threads, setup.settings, setup.precision)
        engine = registry.on(setup.engine, options.settings)
        found = engine.probe()
        if not found.ok:
            raise EngineError(f"{engine.name}: {found.reason}")
        support = engine.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        self._setup = setup
        self._vad = vad.get(setup.vad) if setup.vad else None
        self._pipeline = Pipeline.for_model(artifact, setup.chunk_samples)
        self._session: SessionBase = engine.open(artifact, options)
        self._batch = batch
        if batch > 1:
            frames, feat_dim = self._pipeline.tried_frames, artifact.feat_dim
            why = batches.refusal(self._session, num_frames=frames, feat_dim=feat_dim)
            if why:
                raise EngineError(f"{setup.engine}, --batch {batch}: {why}; leave --batch out")
        # At the first recording: a worker that crashes or hangs then is replaced, or given up.
        self._is_proved = not engine.computes

    @property
    def sample_rate_hz(self) -> int:
        """The rate that samples must have."""
        return self._pipeline.sample_rate_hz

    def embed_file(self, path: Place) -> Computed:
        """Embed a recording.

        Raises:
            AudioError: the file cannot be used.
            EngineError: the engine failed, or its output is no embedding.
        """
        return self._embed(self._read(path, None))

    def embed_blocks(self, blocks: Iterable[FloatArray], name: str) -> Computed:
        """Embed samples that come in blocks: float32 [N] in int16 scale, at the model's rate.

        An error calls them by `name`.

        Raises:
            AudioError: they are too few for one frame.
            EngineError: the engine failed, or its output is no embedding.
        """
        return self._embed(Counted(blocks, name))

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
            keep = [counted.keep for counted in many]
            try:
                found = self._pipeline.embed_together(
                    self._session, many, batch=self._batch, keep=keep
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

    def _read(self, path: Place, part: Part | None) -> Counted:
        """Return what is to be read; nothing is before its first block is asked for."""
        setup = self._setup
        counted = Counted((), str(path))

        def blocks() -> Iterable[FloatArray]:
            return read_part(
                path,
                part,
                sample_rate_hz=self.sample_rate_hz,
                channel=setup.channel,
                resample=setup.resample,
                told_rate=counted.tell_rate,
            )

        counted.blocks = blocks()
        if self._vad is not None:
            detector, front_end = self._vad, self._pipeline.policy.front_end
            counted.find_voiced = lambda: vad.voiced(detector, blocks(), front_end)
        return counted

    def _embed(self, counted: Counted) -> Computed:
        with self._naming(counted):
            found = self._pipeline.embed_blocks(self._session, counted, counted.keep)
            return self._computed(counted, found)

    @contextmanager
    def _naming(self, counted: Counted) -> Iterator[None]:
        """Let errors name the recording, and tell those of too little audio from the others."""
        front_end = self._pipeline.policy.front_end
        try:
            yield
        except EngineError as error:
            raise EngineError(f"{counted.name}: {error}") from error
        except NoSignalError as error:
            raise AudioError(f"{counted.name}: {error}") from error
        except ValueError as error:
            if isinstance(error, AudioError) or front_end.num_frames(counted.samples):
                raise
            raise AudioError(
                f"{counted.name}: too short for one frame; it has {counted.samples} samples and "
                f"needs {front_end.least_samples}"
            ) from error

    def _computed(self, counted: Counted, embedded: Embedded) -> Computed:
        """Return an embedding, once it is one.

        Raises:
            EngineError: it is none, or the session gives it whatever it hears: the model or its
                file is damaged.
        """
        artifact, front_end = self._setup.artifact, self._pipeline.policy.front_end
        check_embedding(embedded.embedding_D, artifact.embedding_dim)
        if not self._is_proved:
            frames = counted.kept_frames or front_end.num_frames(counted.samples)
            if not self._pipeline.listens(self._session, embedded.chunk_embeddings_CD, frames):
                raise EngineError(f"{artifact.path.name}: {DEAF}")
            self._is_proved = True
        took = Took(
            audio_ns=counted.samples * NS_PER_S // self.sample_rate_hz,
            processing_ns=embedded.processing_ns,
            kept_frames=counted.kept_frames,
            frames=counted.frames,
            file_rate_hz=counted.file_rate_hz,
        )
        return Computed(embedded.embedding_D, took)

    def close(self) -> None:
        """Release the runtime."""
        self._session.close()
