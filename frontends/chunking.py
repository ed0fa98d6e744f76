"""Cut the features of an utterance into the chunks that a model sees.

The rules are those of WeSpeaker's C++ runtime (its SpeakerEngine): features are computed
over the whole utterance, cut by frames, the last chunk is filled up, and then every chunk
is normalised by itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from frontends.fbank import FbankConfig

WHOLE_UTTERANCE = -1
#: An hour; longer chunks are a slip of the hand, and no memory holds their features.
MOST_SAMPLES = FbankConfig().sample_rate_hz * 3600
#: Chunk sizes that people choose: whole seconds, else halves, tenths, ..., hundredths.
NATURAL_STEPS = tuple(FbankConfig().sample_rate_hz // parts for parts in (1, 2, 10, 20, 100))

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Chunk:
    """What a model gets in one run.

    Attributes:
        features: float32[T, M], mean zero in every mel bin.
        valid_frames: How many of the T frames are new; the rest fills the chunk up.
    """

    features: npt.NDArray[np.float32]
    valid_frames: int


@dataclass(frozen=True)
class ChunkPolicy:
    """How utterances are cut.

    Attributes:
        samples_per_chunk: Length of a chunk in samples, or -1 for the whole utterance.
        fbank: Where the frame length and shift come from.
    """

    samples_per_chunk: int
    fbank: FbankConfig = field(default_factory=FbankConfig)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If samples_per_chunk is neither -1 nor enough for one frame.
        """
        if self.samples_per_chunk == WHOLE_UTTERANCE:
            return
        if self.samples_per_chunk <= 0:
            raise ValueError(
                f"samples_per_chunk must be positive, or -1 for the whole utterance, "
                f"not {self.samples_per_chunk}"
            )
        if self.samples_per_chunk > MOST_SAMPLES:
            raise ValueError(
                f"samples_per_chunk={self.samples_per_chunk} is more than an hour "
                f"({MOST_SAMPLES} samples); -1 takes the whole utterance"
            )
        if not self.num_frames:
            raise self._too_short(f"samples_per_chunk={self.samples_per_chunk}")

    @property
    def num_frames(self) -> int | None:
        """Frames in a chunk (T); None if that depends on the utterance."""
        if self.samples_per_chunk == WHOLE_UTTERANCE:
            return None
        return self.fbank.num_frames(self.samples_per_chunk)

    def cut(self, features_TM: npt.NDArray[np.float32]) -> tuple[Chunk, ...]:
        """Cut, fill up and normalise.

        A last chunk with too few frames is filled from the beginning of the utterance, a
        shorter utterance is repeated: either way the frame after the last is the first.
        Then the mean of every mel bin over the chunk, filling included, is subtracted.

        Args:
            features_TM: float32[T, M], the features of an utterance; not changed.

        Returns:
            One or more chunks with equal numbers of frames.

        Raises:
            ValueError: If there is no frame, or the array is not float32[T, M].
        """
        return tuple(self.chunks([features_TM]))

    def chunks(self, blocks_TM: Iterable[npt.NDArray[np.float32]]) -> Iterator[Chunk]:
        """Cut features that come in blocks of any length; the chunks are those of `cut`.

        Of an utterance that is cut, no more is kept than its first chunk, from which the last is
        filled up, and what is not yet a chunk.

        Raises:
            ValueError: If there is no frame, or a block is not float32[T, M].
        """
        size = self.num_frames
        head_TM: npt.NDArray[np.float32] | None = None
        pending: list[npt.NDArray[np.float32]] = []
        for block_TM in blocks_TM:
            _check(block_TM)
            pending.append(block_TM)
            if size is None or sum(map(len, pending)) < size:
                continue
            rest_TM = np.concatenate(pending)
            while len(rest_TM) >= size:
                chunk_TM, rest_TM = rest_TM[:size], rest_TM[size:]
                head_TM = chunk_TM if head_TM is None else head_TM
                yield Chunk(_normalised(chunk_TM), size)
            pending = [rest_TM]
        rest_TM = np.concatenate(pending) if pending else np.empty((0, 0), np.float32)
        if head_TM is None and not len(rest_TM):
            raise self._too_short("the utterance")
        if len(rest_TM):
            yield self._last_chunk(rest_TM, head_TM)

    def _last_chunk(
        self, rest_TM: npt.NDArray[np.float32], head_TM: npt.NDArray[np.float32] | None
    ) -> Chunk:
        missing = (self.num_frames or len(rest_TM)) - len(rest_TM)
        source_TM = rest_TM if head_TM is None else head_TM
        filling_TM = source_TM.take(np.arange(missing), axis=0, mode="wrap")
        return Chunk(_normalised(np.concatenate([rest_TM, filling_TM])), len(rest_TM))

    def num_chunks(self, num_samples: int) -> int:
        """Count the chunks of an utterance.

        Raises:
            ValueError: If it is too short for one frame.
        """
        total = self.fbank.num_frames(num_samples)
        if total == 0:
            raise self._too_short(f"an utterance of {num_samples} samples")
        return _ceil_div(total, self.num_frames or total)

    def padded_samples(self, num_samples: int) -> int:
        """Return how many samples' worth of audio is computed, the filling included.

        That is whole chunks, or the utterance itself if it is not cut.

        Raises:
            ValueError: If the utterance is too short for one frame.
        """
        count = self.num_chunks(num_samples)
        if self.samples_per_chunk == WHOLE_UTTERANCE:
            return num_samples
        return count * self.samples_per_chunk

    def padded_audio_ns(self, num_samples: int) -> int:
        """Return `padded_samples` as a duration in nanoseconds, rounded down."""
        return self.padded_samples(num_samples) * _NS_PER_S // self.fbank.sample_rate_hz

    def _too_short(self, what: str) -> ValueError:
        needed = self.fbank.frame_length
        return ValueError(f"{what} is too short for one frame (needs {needed} samples)")


def _check(features_TM: npt.NDArray[np.float32]) -> None:
    if features_TM.dtype != np.float32 or features_TM.ndim != 2:
        shape = list(features_TM.shape)
        raise ValueError(f"need float32[T, M] features, not {features_TM.dtype}{shape}")


def _normalised(chunk_TM: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a chunk with the mean of every mel bin taken off."""
    # Summed in float64: a whole utterance can have too many frames for float32.
    mean_M: npt.NDArray[np.float32] = chunk_TM.mean(axis=0, dtype=np.float64).astype(np.float32)
    return np.subtract(chunk_TM, mean_M)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def natural_chunk_samples(num_frames: int) -> int:
    """Return the roundest chunk size that gives this many frames: 198 -> 32000."""
    fbank = ChunkPolicy(WHOLE_UTTERANCE).fbank
    shortest = (num_frames - 1) * fbank.frame_shift + fbank.frame_length
    for step in NATURAL_STEPS:
        size = -(-shortest // step) * step
        if fbank.num_frames(size) == num_frames:
            return size
    return shortest
