"""The chunking driver: waveform to embedding, with the clock read around each part.

The only module where the front end meets an engine.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engines.base import counted_ns
from engines.protocol import FloatArray, ModelArtifact, Session
from frontends.audio import Waveform
from frontends.chunking import ChunkPolicy
from frontends.fbank import Fbank, FbankConfig

Clock = Callable[[], int]


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


def chunk_samples_for(artifact: ModelArtifact, asked: int) -> int:
    """Return the chunk length that a model runs with: a static one dictates it.

    Args:
        artifact: the model.
        asked: samples per chunk, -1 for the whole utterance.
    """
    config = FbankConfig(num_mel_bins=artifact.feat_dim)
    if artifact.num_frames is None or ChunkPolicy(asked, config).num_frames == artifact.num_frames:
        return asked
    return (artifact.num_frames - 1) * config.frame_shift + config.frame_length


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
        return cls(chunk_samples, FbankConfig(num_mel_bins=artifact.feat_dim))

    def first_chunk(self, waveform: Waveform) -> FloatArray:
        """Return the features of an utterance's first chunk: float32 [1, T, M]."""
        return self.policy.cut(self._fbank(waveform.samples))[0].features[np.newaxis]

    def embed(self, session: Session, waveform: Waveform) -> Embedded:
        """Compute an utterance's embedding.

        Raises:
            ValueError: the waveform is too short for one frame.
            EngineError: the session refused or failed.
        """
        clock = self._clock
        embeddings_CBD: list[FloatArray] = []
        chunk_ns: list[int] = []
        copied_ns = counted_ns(session)
        began = clock()
        chunks = self.policy.cut(self._fbank(waveform.samples))
        cut = clock()
        for chunk in chunks:
            features_BTM = chunk.features[np.newaxis]
            before = clock()
            embedding_BD = session.run(features_BTM)
            chunk_ns.append(clock() - before)
            embeddings_CBD.append(embedding_BD)
        chunk_embeddings_CD = np.concatenate(embeddings_CBD)
        embedding_D = chunk_embeddings_CD.mean(axis=0)
        ended = clock()
        return Embedded(
            embedding_D=embedding_D,
            chunk_embeddings_CD=chunk_embeddings_CD,
            frontend_ns=cut - began,
            chunk_ns=tuple(chunk_ns),
            processing_ns=ended - began,
            copy_ns=None if copied_ns is None else (counted_ns(session) or 0) - copied_ns,
        )

    def embed_blocks(self, session: Session, blocks: Iterable[FloatArray]) -> Embedded:
        """Compute what `embed` computes from samples that come in blocks, as they are read.

        Memory does not grow with the length of an utterance that is cut. The time that the blocks
        take to come is no processing time.

        Raises:
            ValueError: the waveform is too short for one frame.
            EngineError: the session refused or failed.
        """
        clock = self._clock
        embeddings_CBD: list[FloatArray] = []
        chunk_ns: list[int] = []
        reading_ns = 0

        def timed() -> Iterator[FloatArray]:
            nonlocal reading_ns
            remaining = iter(blocks)
            while True:
                before = clock()
                block = next(remaining, None)
                reading_ns += clock() - before
                if block is None:
                    return
                yield block

        began = clock()
        for chunk in self.policy.chunks(self._fbank.blocks(timed())):
            features_BTM = chunk.features[np.newaxis]
            before = clock()
            embedding_BD = session.run(features_BTM)
            chunk_ns.append(clock() - before)
            embeddings_CBD.append(embedding_BD)
        chunk_embeddings_CD = np.concatenate(embeddings_CBD)
        embedding_D = chunk_embeddings_CD.mean(axis=0)
        processing_ns = clock() - began - reading_ns
        return Embedded(
            embedding_D=embedding_D,
            chunk_embeddings_CD=chunk_embeddings_CD,
            frontend_ns=processing_ns - sum(chunk_ns),
            chunk_ns=tuple(chunk_ns),
            processing_ns=processing_ns,
        )
