"""The chunking driver: waveform to embedding, with the clock read around each part.

The only module where the front end meets an engine.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench.embed.batches import Batches, Clock, Gathered
from engines.base import counted_ns
from engines.protocol import EngineError, FloatArray, ModelArtifact, Session
from frontends.audio import Waveform
from frontends.chunking import Chunk, ChunkPolicy
from frontends.fbank import Fbank, FbankConfig

#: Leaves frames out of features [T, M] that come in blocks.
KeepFrames = Callable[[Iterable[FloatArray]], Iterator[FloatArray]]
#: Engines make finite numbers of features that are none.
NOT_FINITE = "its features are not finite: the samples are too large; export it as 16-bit PCM"
#: The length that a model is tried with that takes whole utterances.
DEAF_FRAMES = 200
#: Mean-normalised log mel energies of speech have standard deviations up to about this.
SPEECH_SCALE = np.float32(6.0)
DEAF = (
    "noise and silence, or two noises, give the same embedding: the model or its file is damaged; "
    "export or convert it again"
)


@dataclass(frozen=True)
class Embedded:
    """The embedding of an utterance and where its time went.

    `embedding_D` is the plain mean over chunks, as in the WeSpeaker runtime. `chunk_ns` are the
    engine's calls alone, `copy_ns` the part of them that the session spent on shapes and copies
    (None where it does not tell); `processing_ns` runs from before the fbank to after the mean.
    """

    embedding_D: FloatArray
    chunk_embeddings_CD: FloatArray
    frontend_ns: int
    chunk_ns: tuple[int, ...]
    processing_ns: int
    copy_ns: int | None = None


class Pipeline:
    """One front end and one chunk policy; sessions come and go. Not thread-safe."""

    def __init__(
        self,
        chunk_samples: int,
        config: FbankConfig | None = None,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        config = config or FbankConfig()
        self.policy = ChunkPolicy(chunk_samples, config)
        self._fbank = Fbank(config)
        self._clock = clock

    @classmethod
    def for_model(cls, artifact: ModelArtifact, chunk_samples: int) -> "Pipeline":
        """Return the pipeline whose features have the model's mel bins."""
        return cls.for_mel_bins(artifact.feat_dim, chunk_samples)

    @classmethod
    def for_mel_bins(cls, num_mel_bins: int, chunk_samples: int) -> "Pipeline":
        """Return the pipeline whose features have so many mel bins."""
        return cls(chunk_samples, FbankConfig(num_mel_bins=num_mel_bins))

    def first_chunk(self, waveform: Waveform) -> FloatArray:
        """Return the features of an utterance's first chunk: float32 [1, T, M]."""
        return self.policy.cut(self._fbank(waveform.samples))[0].features[np.newaxis]

    def all_chunks(self, waveform: Waveform) -> FloatArray:
        """Return the features of an utterance's chunks of one length: float32 [N, T, M]."""
        chunks = self.policy.cut(self._fbank(waveform.samples))
        features_NTM: FloatArray = np.stack([chunk.features for chunk in chunks])
        return features_NTM

    def embed(self, session: Session, waveform: Waveform) -> Embedded:
        """Compute an utterance's embedding; all of its fbank comes first, then every chunk.

        Raises:
            ValueError: the waveform is too short for one frame.
            EngineError: the session refused or failed, or features are not finite.
        """
        copied_ns = counted_ns(session)
        began = self._clock()
        chunks = self.policy.cut(self._fbank(waveform.samples))
        frontend_ns = self._clock() - began
        ran = self._run(session, chunks)
        processing_ns = self._clock() - began
        return ran.embedded(
            frontend_ns=frontend_ns,
            processing_ns=processing_ns,
            copy_ns=None if copied_ns is None else (counted_ns(session) or 0) - copied_ns,
        )

    def embed_blocks(
        self, session: Session, blocks: Iterable[FloatArray], keep: KeepFrames | None = None
    ) -> Embedded:
        """Compute what `embed` computes from samples that come in blocks, as they are read.

        With `keep`, frames are left out before chunks are cut.

        Memory does not grow with the length of an utterance that is cut. The time that the blocks
        take to come is no processing time.

        Raises:
            ValueError: the waveform is too short for one frame.
            EngineError: the session refused or failed, or features are not finite.
        """
        waited = _Waited(blocks, self._clock)
        began = self._clock()
        ran = self._run(session, self._chunks(waited, keep))
        processing_ns = self._clock() - began - waited.ns
        return ran.embedded(
            frontend_ns=processing_ns - sum(ran.chunk_ns), processing_ns=processing_ns
        )

    def embed_together(
        self,
        session: Session,
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
            chunks = _finite(self._chunks(waited, keep[index] if keep else None))
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

    def listens(self, session: Session, feat_dim: int) -> bool:
        """Say whether the session tells noises and silence apart; a damaged model may not.

        One may answer silence in its own way, and alike all that is as loud as speech.

        Args:
            session: an open one.
            feat_dim: M.
        """
        shape = (1, self.policy.num_frames or DEAF_FRAMES, feat_dim)
        # Not one noise and its mirror: a model may take frames in any order, or bins.
        rng = np.random.default_rng(0)
        noises = [SPEECH_SCALE * rng.standard_normal(shape, np.float32) for _ in range(2)]
        found = [session.run(each) for each in (*noises, np.zeros(shape, np.float32))]
        return not any(
            np.array_equal(one, other, equal_nan=True) for one, other in combinations(found, 2)
        )

    def _chunks(self, blocks: Iterable[FloatArray], keep: KeepFrames | None) -> Iterator[Chunk]:
        """Return the chunks of samples as they come, of the frames that are kept."""
        features = self._fbank.blocks(blocks)
        return self.policy.chunks(features if keep is None else keep(features))

    def _run(self, session: Session, chunks: Iterable[Chunk]) -> "_Ran":
        """Run every chunk and average; between two clock reads stands only the engine's call."""
        clock = self._clock
        embeddings_CBD: list[FloatArray] = []
        chunk_ns: list[int] = []
        for chunk in _finite(chunks):
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

    def embedded(
        self, *, frontend_ns: int, processing_ns: int, copy_ns: int | None = None
    ) -> Embedded:
        """Return it with the times around it."""
        return Embedded(
            embedding_D=self.embedding_D,
            chunk_embeddings_CD=self.chunk_embeddings_CD,
            frontend_ns=frontend_ns,
            chunk_ns=self.chunk_ns,
            processing_ns=processing_ns,
            copy_ns=copy_ns,
        )


def _finite(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks as they come, up to one whose features are not finite."""
    for chunk in chunks:
        # One pass that no NaN and no infinity survives, and cheaper than asking every value.
        if not np.isfinite(chunk.features.sum()):
            raise EngineError(NOT_FINITE)
        yield chunk


def _together(gathered: Gathered, frontend_ns: int) -> Embedded:
    """Return an utterance whose chunks have all run."""
    chunk_embeddings_CD = np.stack(gathered.embeddings_D)
    return Embedded(
        embedding_D=chunk_embeddings_CD.mean(axis=0),
        chunk_embeddings_CD=chunk_embeddings_CD,
        frontend_ns=frontend_ns,
        chunk_ns=tuple(gathered.chunk_ns),
        processing_ns=frontend_ns + sum(gathered.chunk_ns),
    )


class _Waited:
    """Blocks as they come, and the nanoseconds that they took to come."""

    def __init__(self, blocks: Iterable[FloatArray], clock: Clock) -> None:
        self._blocks, self._clock, self.ns = iter(blocks), clock, 0

    def __iter__(self) -> Iterator[FloatArray]:
        while True:
            before = self._clock()
            block = next(self._blocks, None)
            self.ns += self._clock() - before
            if block is None:
                return
            yield block
