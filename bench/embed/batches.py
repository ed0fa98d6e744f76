"""Chunks of equal length, of one utterance or of several, go through an engine together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import EngineError, FloatArray
from rtfbench.frontends.chunking import Chunk

Clock = Callable[[], int]
#: Two chunks of a batch are compared with each alone, with this tolerance of the largest value.
ALIKE = 1e-3


@dataclass
class Gathered:
    """What the chunks of an utterance gave so far, by their order in it.

    `chunk_ns` are the chunks' shares of the runs that they were part of.
    """

    embeddings_D: list[FloatArray] = field(default_factory=list)
    chunk_ns: list[int] = field(default_factory=list)


#: A chunk's features that wait for others of its length, and where its embedding goes.
_Waiting = tuple[FloatArray, Gathered, int]


class Batches:
    """Collects chunks by their length, and runs as many at a time as a batch holds.

    Nothing is padded to fill a batch: one that stays smaller runs as it is, at `flush`.
    """

    def __init__(
        self, session: SessionBase, size: int, clock: Clock = time.perf_counter_ns
    ) -> None:
        if size < 1:
            raise ValueError(f"a batch has 1 chunk or more, not {size}")
        self._session, self._size, self._clock = session, size, clock
        self._waiting: dict[int, list[_Waiting]] = {}
        #: Nanoseconds that all runs took.
        self.ran_ns = 0

    def add(self, gathered: Gathered, chunk: Chunk) -> None:
        """Take an utterance's next chunk; run its batch when that is full.

        Raises:
            EngineError: the session refused or failed.
        """
        same = self._waiting.setdefault(len(chunk.features), [])
        same.append((chunk.features, gathered, len(gathered.embeddings_D)))
        gathered.embeddings_D.append(np.empty(0, np.float32))
        gathered.chunk_ns.append(0)
        if len(same) == self._size:
            self._run(self._waiting.pop(len(chunk.features)))

    def flush(self) -> None:
        """Run what waits.

        Raises:
            EngineError: the session refused or failed.
        """
        while self._waiting:
            _, same = self._waiting.popitem()
            self._run(same)

    def _run(self, batch: list[_Waiting]) -> None:
        features_BTM = np.stack([features_TM for features_TM, _, _ in batch])
        before = self._clock()
        embeddings_BD = self._session.run(features_BTM)
        took_ns = self._clock() - before
        self.ran_ns += took_ns
        if len(embeddings_BD) != len(batch):
            raise EngineError(
                f"a batch of {len(batch)} chunks gave {len(embeddings_BD)} embeddings"
            )
        for (_, gathered, place), embedding_D in zip(batch, embeddings_BD, strict=True):
            gathered.embeddings_D[place] = embedding_D
            gathered.chunk_ns[place] = took_ns // len(batch)


def refusal(session: SessionBase, *, num_frames: int, feat_dim: int) -> str:
    """Say why a session cannot be given batches, nothing where it can; runs four chunks.

    Some models compute the first element alone, or mix the elements: a batch of two has to give
    what each of them gives.
    """
    rng = np.random.default_rng(0)
    shape = (2, num_frames, feat_dim)
    features_BTM = rng.standard_normal(shape).astype(np.float32)
    try:
        together_BD = session.run(features_BTM)
    except EngineError as error:
        return f"it takes no batch ({error})"
    alone_BD = np.concatenate([session.run(each[np.newaxis]) for each in features_BTM])
    if together_BD.shape != alone_BD.shape:
        return f"a batch of two gives {list(together_BD.shape)} in place of {list(alone_BD.shape)}"
    off = float(np.abs(together_BD - alone_BD).max() / np.abs(alone_BD).max())
    if not off <= ALIKE:
        return f"in a batch it computes other embeddings (error {off:.1e} of the largest value)"
    return ""
