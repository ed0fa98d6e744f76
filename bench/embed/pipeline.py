"""The chunking driver: waveform to embedding, with the clock read around each part.

The only module where the front end meets an engine. A front end travels with a model file as text,
which engines carry and do not read; it is read and written here.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rtfbench.embed.batches import Batches, Clock, Gathered
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import EngineError, FloatArray, ModelArtifact
from rtfbench.frontends.audio import Waveform
from rtfbench.frontends.chunking import WHOLE_UTTERANCE, Chunk, ChunkPolicy
from rtfbench.frontends.front_end import UNIT, WESPEAKER, Features, FrontEnd
from rtfbench.frontends.windows import MovingWindows

#: Leaves frames out of features [T, M] that come in blocks.
KeepFrames = Callable[[Iterable[FloatArray]], Iterator[FloatArray]]
#: Engines make finite numbers of features that are none.
NOT_FINITE = "its features are not finite: the samples are too large; export it as 16-bit PCM"
#: A model that takes whole utterances is tried with so much.
TRIED_S = 2
#: Mean-normalised log mel energies of speech have standard deviations up to about this.
SPEECH_SCALE = np.float32(6.0)
#: Samples of speech, where full scale is 1.
SAMPLES_SCALE = np.float32(0.1)
DEAF = (
    "sounds that differ give the same embedding: the model or its file is damaged; "
    "export or convert it again"
)


class NoSignalError(ValueError):
    """A recording that every model would answer alike; one line, without the recording's name."""


@dataclass(frozen=True)
class Embedded:
    """The embedding of an utterance and where its time went.

    `embedding_D` is the plain mean over chunks, as in the WeSpeaker runtime. `chunk_ns` are the
    engine's calls alone, `copy_ns` the part of them that the session spent on shapes and copies
    (None where it does not tell); `processing_ns` runs from before the fbank to after the mean.
    """

    embedding_D: FloatArray
    chunk_embeddings_CD: FloatArray
    chunk_ns: tuple[int, ...]
    frontend_ns: int
    processing_ns: int
    copy_ns: int | None = None


class LiveWindow(NamedTuple):
    """A window of a live stream; see `MovingWindows`."""

    stream: int
    recording: str
    begin: int
    samples: FloatArray


class Pipeline:
    """One front end and one chunk policy; sessions come and go. Not thread-safe."""

    def __init__(
        self,
        chunk_samples: int,
        front_end: FrontEnd = WESPEAKER,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self.policy = ChunkPolicy(chunk_samples, front_end)
        self._compute = Features(front_end)
        self._clock = clock
        #: What live streams were heard to say.
        self.moving = MovingWindows(front_end, self._compute)

    @classmethod
    def for_model(cls, artifact: ModelArtifact, chunk_samples: int = WHOLE_UTTERANCE) -> "Pipeline":
        """Return the pipeline that feeds a model what it was made for."""
        return cls(chunk_samples, read_front_end(artifact.front_end, artifact.feat_dim))

    @property
    def sample_rate_hz(self) -> int:
        """The rate that waveforms must have."""
        return self.policy.front_end.sample_rate_hz

    def first_chunk(self, waveform: Waveform) -> FloatArray:
        """Return the features of an utterance's first chunk: float32 [1, T, M]."""
        return self.policy.cut(self._compute(waveform.samples))[0].features[np.newaxis]

    def all_chunks(self, waveform: Waveform) -> FloatArray:
        """Return the features of an utterance's chunks of one length: float32 [N, T, M]."""
        chunks = self.policy.cut(self._compute(waveform.samples))
        features_NTM: FloatArray = np.stack([chunk.features for chunk in chunks])
        return features_NTM

    def embed(self, session: SessionBase, waveform: Waveform) -> Embedded:
        """Compute an utterance's embedding; all of its fbank comes first, then every chunk.

        Raises:
            ValueError: the waveform is too short for one frame.
            EngineError: the session refused or failed, or features are not finite.
        """
        copied_ns = session.copy_ns
        began = self._clock()
        chunks = self.policy.cut(self._compute(waveform.samples))
        frontend_ns = self._clock() - began
        ran = self._run(session, _finite(chunks))
        processing_ns = self._clock() - began
        copy_ns = None if copied_ns is None else (session.copy_ns or 0) - copied_ns
        return Embedded(*ran, frontend_ns, processing_ns, copy_ns)

    def embed_blocks(
        self, session: SessionBase, blocks: Iterable[FloatArray], keep: KeepFrames | None = None
    ) -> Embedded:
        """Compute what `embed` computes from samples that come in blocks, as they are read.

        With `keep`, frames are left out before chunks are cut. Chunks without any signal are left
        out too: what a model says of them would be the same for every speaker.

        Memory does not grow with the length of an utterance that is cut. The time that the blocks
        take to come is no processing time.

        Raises:
            NoSignalError: there is nothing to hear in the waveform.
            ValueError: it is too short for one frame.
            EngineError: the session refused or failed, or features are not finite.
        """
        waited = _Waited(blocks, self._clock)
        began = self._clock()
        chunks = self._chunks(waited, keep)
        ran = self._run(session, self._heard(_finite(chunks), waited))
        processing_ns = self._clock() - began - waited.ns
        return Embedded(*ran, processing_ns - sum(ran.chunk_ns), processing_ns)

    def embed_together(
        self,
        session: SessionBase,
        utterances: Sequence[Iterable[FloatArray]],
        *,
        batch: int,
        keep: Sequence[KeepFrames | None] | None = None,
    ) -> list[Embedded | Exception]:
        """Compute what `embed_blocks` computes, chunks of equal length `batch` at a time.

        Args:
            session: takes batches.
            utterances: the samples of each, in blocks as they are read.
            batch: how many chunks run together, of one utterance or of several.
            keep: what leaves frames of each out, None where all are kept.

        Returns:
            One an utterance, in their order; what its samples raised where they could not be read,
            are too short for one frame, or have features that are not finite. An utterance's
            `processing_ns` are its front end and its chunks' shares of the runs.

        Raises:
            EngineError: the session refused or failed.
        """
        batches = Batches(session, batch, self._clock)
        gathered = [Gathered() for _ in utterances]
        frontend_ns = [0] * len(utterances)
        failed: dict[int, Exception] = {}
        for index, blocks in enumerate(utterances):
            waited = _Waited(blocks, self._clock)
            began, ran_ns = self._clock(), batches.ran_ns
            cut = self._chunks(waited, keep[index] if keep else None)
            chunks = self._heard(_finite(cut), waited)
            while True:
                try:
                    chunk = next(chunks, None)
                except Exception as error:  # whatever reading raises is this utterance's alone
                    failed[index] = error
                    break
                if chunk is None:
                    break
                batches.add(gathered[index], chunk)
            in_runs_ns = batches.ran_ns - ran_ns
            frontend_ns[index] = self._clock() - began - waited.ns - in_runs_ns
        batches.flush()
        return [
            failed[index] if index in failed else _together(each, frontend_ns[index])
            for index, each in enumerate(gathered)
        ]

    def embed_windows(
        self, session: SessionBase, windows: Sequence[LiveWindow], *, batch: int
    ) -> list[Embedded]:
        """Compute what `embed` computes of windows of equal length; a batch is one run.

        What a stream's window has in common with the one before is not computed again, where the
        front end lets frames stand alone.

        Raises:
            EngineError: the session refused or failed, or features are not finite.
        """
        clock = self._clock
        began = clock()
        chunks = [list(_finite(self.policy.cut(self.moving(*each)))) for each in windows]
        frontend_ns = clock() - began
        if batch == 1:
            ran = [self._run(session, some) for some in chunks]
        else:
            features_BTM = np.stack([chunk.features for some in chunks for chunk in some])
            before = clock()
            embeddings_BD = session.run(features_BTM)
            chunk_ns = (clock() - before) // len(features_BTM)
            ends = np.cumsum([len(some) for some in chunks])[:-1]
            ran = [
                _Ran(each_CD.mean(axis=0), each_CD, (chunk_ns,) * len(each_CD))
                for each_CD in np.split(embeddings_BD, ends)
            ]
        times_ns = [ns // len(windows) for ns in (frontend_ns, clock() - began)]
        return [Embedded(*each, *times_ns) for each in ran]

    @property
    def tried_frames(self) -> int:
        """Frames that a session is tried with before it is trusted."""
        front_end = self.policy.front_end
        return self.policy.num_frames or front_end.num_frames(TRIED_S * front_end.sample_rate_hz)

    def listens(
        self, session: SessionBase, heard_CD: FloatArray | None = None, frames: int | None = None
    ) -> bool:
        """Say whether the session tells sounds apart; a damaged model may not.

        Args:
            session: runs once a sound.
            heard_CD: what it made of the chunks of a recording, which one noise is held against.
                Without, two noises and silence are: a damaged model may answer silence in its own
                way, and alike all that is as loud as speech.
            frames: how many the recording has, where chunks have any number of them: the noise has
                no more.
        """
        front_end = self.policy.front_end
        length = self.policy.num_frames or min(self.tried_frames, frames or self.tried_frames)
        shape = (1, length, front_end.feat_dim)
        loudness = SPEECH_SCALE
        if front_end.waveform:
            loudness = SAMPLES_SCALE / np.float32(1 if front_end.scale == "unit" else UNIT)
        rng = np.random.default_rng(0)
        noise = loudness * rng.standard_normal(shape, np.float32)
        if heard_CD is not None:
            found = [heard_CD[:1], session.run(noise)]
        else:
            # Not one noise and its mirror: a model may take frames in any order, or bins.
            other = loudness * rng.standard_normal(shape, np.float32)
            found = [session.run(each) for each in (noise, other, np.zeros(shape, np.float32))]
        return not any(
            np.array_equal(one, other, equal_nan=True) for one, other in combinations(found, 2)
        )

    def _chunks(self, blocks: Iterable[FloatArray], keep: KeepFrames | None) -> Iterator[Chunk]:
        """Return the chunks of samples as they come, of the frames that are kept."""
        features = self._compute.blocks(blocks)
        return self.policy.chunks(features if keep is None else keep(features))

    def _heard(self, chunks: Iterable[Chunk], waited: "_Waited") -> Iterator[Chunk]:
        """Yield the chunks that there is something to hear in.

        Features of a constant may move all the same: where frames reach over the ends.

        Raises:
            NoSignalError: there is none, or too few frames for one.
        """
        heard, least = False, self.policy.front_end.least_frames
        for index, chunk in enumerate(chunks):
            if index == 0 and chunk.valid_frames < least:
                raise NoSignalError(
                    "too short to tell a voice: there is no signal in 1 or 2 frames; use a longer "
                    "recording"
                )
            if chunk.has_signal and waited.moved:
                heard = True
                yield chunk
        if not heard:
            raise NoSignalError(
                "no signal: silence, or a constant, from beginning to end; check the recording"
            )

    def _run(self, session: SessionBase, chunks: Iterable[Chunk]) -> "_Ran":
        """Run every chunk and average; between two clock reads stands only the engine's call."""
        clock = self._clock
        embeddings_CBD: list[FloatArray] = []
        chunk_ns: list[int] = []
        for chunk in chunks:
            features_BTM = chunk.features[np.newaxis]
            before = clock()
            embedding_BD = session.run(features_BTM)
            chunk_ns.append(clock() - before)
            embeddings_CBD.append(embedding_BD)
        chunk_embeddings_CD = np.concatenate(embeddings_CBD)
        return _Ran(chunk_embeddings_CD.mean(axis=0), chunk_embeddings_CD, tuple(chunk_ns))


def check_embedding(embedding_D: FloatArray, embedding_dim: int) -> None:
    """Refuse what is no embedding.

    Raises:
        EngineError: another shape, or a value that is not finite.
    """
    if embedding_D.shape != (embedding_dim,) or not np.isfinite(embedding_D).all():
        raise EngineError(
            f"the engine's output is not {embedding_dim} finite values "
            f"(shape {list(embedding_D.shape)})"
        )


class _Ran(NamedTuple):
    """What the chunks of an utterance gave."""

    embedding_D: FloatArray
    chunk_embeddings_CD: FloatArray
    chunk_ns: tuple[int, ...]


def _finite(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks as they come, up to one whose features are not finite."""
    for chunk in chunks:
        # One pass that no NaN and no infinity survives, and cheaper than asking every value.
        if not np.isfinite(chunk.features.sum()):
            raise EngineError(NOT_FINITE)
        yield chunk


def _together(gathered: Gathered, frontend_ns: int) -> Embedded:
    """Return an utterance whose chunks have all run."""
    chunks_CD = np.stack(gathered.embeddings_D)
    ran = _Ran(chunks_CD.mean(axis=0), chunks_CD, tuple(gathered.chunk_ns))
    return Embedded(*ran, frontend_ns, frontend_ns + sum(ran.chunk_ns))


class _Waited:
    """Blocks as they come, the nanoseconds that they took to come, and whether they moved."""

    def __init__(self, blocks: Iterable[FloatArray], clock: Clock) -> None:
        self._blocks, self._clock, self.ns = iter(blocks), clock, 0
        self._first: np.float32 | None = None
        self.moved = False

    def __iter__(self) -> Iterator[FloatArray]:
        while True:
            before = self._clock()
            block = next(self._blocks, None)
            self.ns += self._clock() - before
            if block is None:
                return
            if not self.moved and len(block):
                self._first = block[0] if self._first is None else self._first
                self.moved = bool((block != self._first).any())
            yield block


class BehindFrontEnd(SessionBase):
    """A session behind a front end, as a runtime is that brings one: samples [B, N, 1] in."""

    def __init__(self, session: SessionBase, front_end: FrontEnd) -> None:
        self._session = session
        self._run = behind(front_end, session.run)

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What the session inside reports."""
        return self._session.effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        return self._run(features_BTM)

    def close(self) -> None:
        """Close the session inside."""
        self._session.close()


def behind(
    front_end: FrontEnd, compute: Callable[[FloatArray], FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """Return what computes embeddings of samples from -1 to 1, each element normalised by itself.

    Of their features float32 [B, T, M], `compute` makes [B, D].
    """
    features = Features(front_end)

    def run(samples_BN1: FloatArray) -> FloatArray:
        found = []
        for samples_N1 in samples_BN1:
            features_TM = features(samples_N1[:, 0] / np.float32(UNIT))
            normalized_TM = np.ascontiguousarray(front_end.normalized(features_TM))
            found.append(compute(normalized_TM[np.newaxis])[0])
        return np.array(found, np.float32)

    return run


_FRONT_END = TypeAdapter(FrontEnd)


def read_front_end(text: str, feat_dim: int) -> FrontEnd:
    """Return the front end that `written` wrote; an empty text is WeSpeaker's.

    Raises:
        ValueError: it is no front end.
    """
    if not text:
        return WESPEAKER.with_bins(feat_dim)
    try:
        return _FRONT_END.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"no front end: {where}: {first['msg']}") from error


def front_end_text(front_end: FrontEnd) -> str:
    """Return a front end as text, an empty one for WeSpeaker's of any number of bins."""
    if not front_end.differences(WESPEAKER.with_bins(front_end.fbank.num_mel_bins)):
        return ""
    return whole_front_end_text(front_end)


def whole_front_end_text(front_end: FrontEnd) -> str:
    """Return a front end as text, whichever it is."""
    return _FRONT_END.dump_json(front_end).decode()
