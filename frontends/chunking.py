"""Cut the features of an utterance into the chunks that a model sees.

The rules are those of WeSpeaker's C++ runtime (its SpeakerEngine) unless the front end says
otherwise: features are computed over the whole utterance, cut by frames, the last chunk is filled
up, and then every chunk is normalised by itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rtfbench.frontends.front_end import WESPEAKER, FrontEnd, Statistics
from rtfbench.frontends.spectra import Float32Array

WHOLE_UTTERANCE = -1
#: Of recordings, where nobody says otherwise.
SAMPLE_RATE_HZ = WESPEAKER.sample_rate_hz
#: An hour; longer chunks are a slip of the hand, and no memory holds their features.
MOST_S = 3600
#: Chunk sizes that people choose, in parts of a second.
NATURAL_PARTS = (1, 2, 10, 20, 100)
#: Features that move less over time are those of silence or of a constant: rounding moves them.
LEAST_MOVEMENT = 1e-3

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Chunk:
    """What a model gets in one run.

    Attributes:
        features: float32[T, M], normalised.
        valid_frames: How many of the T frames are new; the rest fills the chunk up, or stood in
            the one before.
        raw: float32[T, M], the same before they were normalised.
    """

    features: Float32Array
    valid_frames: int
    raw: Float32Array

    @property
    def has_signal(self) -> bool:
        """Whether anything moves: silence and a constant leave nothing for a model to hear."""
        least = 0.0 if self.raw.shape[1] == 1 else LEAST_MOVEMENT
        return bool(np.ptp(self.raw, axis=0).max() > least)


@dataclass(frozen=True)
class ChunkPolicy:
    """How utterances are cut.

    Attributes:
        samples_per_chunk: Length of a chunk in samples, or -1 for the whole utterance.
        front_end: Where frames lie, and how chunks are normalised.
    """

    samples_per_chunk: int
    front_end: FrontEnd = WESPEAKER

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
        most = MOST_S * self.front_end.sample_rate_hz
        if self.samples_per_chunk > most:
            raise ValueError(
                f"samples_per_chunk={self.samples_per_chunk} is more than an hour "
                f"({most} samples); -1 takes the whole utterance"
            )
        if not self.num_frames:
            raise self._too_short(f"samples_per_chunk={self.samples_per_chunk}")
        if self._hop > self.num_frames:
            raise ValueError(
                f"chunk_hop={self.front_end.chunk_hop} is more than a chunk "
                f"({self.samples_per_chunk} samples)"
            )

    @property
    def num_frames(self) -> int | None:
        """Frames in a chunk (T); None if that depends on the utterance."""
        if self.samples_per_chunk == WHOLE_UTTERANCE:
            return None
        return self.front_end.num_frames(self.samples_per_chunk)

    @property
    def _hop(self) -> int:
        """Frames from one chunk to the next."""
        hop = self.front_end.chunk_hop
        return (self.num_frames or 0) if hop is None else hop // self.front_end.frame_shift

    def cut(self, features_TM: Float32Array) -> tuple[Chunk, ...]:
        """Cut, fill up and normalise.

        With WeSpeaker's front end the frame after the last is the first, of a shorter utterance
        too, and the mean of every mel bin over the chunk, filling included, is subtracted.

        Args:
            features_TM: float32[T, M], the features of an utterance; not changed.

        Returns:
            One or more chunks with equal numbers of frames, but for a last one that is kept short.

        Raises:
            ValueError: If there is no frame, or the array is not float32[T, M].
        """
        return tuple(self.chunks([features_TM]))

    def chunks(self, blocks_TM: Iterable[Float32Array]) -> Iterator[Chunk]:
        """Cut features that come in blocks of any length; the chunks are those of `cut`.

        Of an utterance that is cut, no more is kept than its first chunk, from which the last is
        filled up, the one before, and what is not yet a chunk.

        Raises:
            ValueError: If there is no frame, or a block is not float32[T, M].
        """
        size, front_end = self.num_frames, self.front_end
        statistics: Statistics | None = None
        if front_end.normalized_over == "utterance" and front_end.needs_statistics:
            whole = [block_TM for block_TM in blocks_TM if _check(block_TM)]
            if not sum(map(len, whole)):
                raise self._too_short("the utterance")
            blocks_TM = [np.concatenate(whole)]
            statistics = front_end.statistics(blocks_TM[0])
        head_TM = before_TM = None
        hop, pending = self._hop, list[Float32Array]()
        for block_TM in blocks_TM:
            _check(block_TM)
            pending.append(block_TM)
            if size is None or sum(map(len, pending)) < size:
                continue
            rest_TM = np.concatenate(pending)
            while len(rest_TM) >= size:
                before_TM, rest_TM = rest_TM[:size], rest_TM[hop:]
                normal_TM = front_end.normalized(before_TM, statistics)
                yield Chunk(normal_TM, size if head_TM is None else hop, before_TM)
                head_TM = before_TM if head_TM is None else head_TM
            pending = [rest_TM]
        rest_TM = np.concatenate(pending) if pending else np.empty((0, 0), np.float32)
        if head_TM is None and not len(rest_TM):
            raise self._too_short("the utterance")
        # What stood in the chunk before is not new.
        new = len(rest_TM) if head_TM is None or size is None else len(rest_TM) - (size - hop)
        last_TM = self._last(rest_TM, head_TM, before_TM) if new > 0 else None
        if last_TM is not None:
            yield Chunk(front_end.normalized(last_TM, statistics), new, last_TM)

    def _last(
        self, rest_TM: Float32Array, head_TM: Float32Array | None, before_TM: Float32Array | None
    ) -> Float32Array | None:
        """Return the last chunk of fewer frames than a chunk has; None where it is dropped.

        The first chunk is None where this is the only one.
        """
        missing = (self.num_frames or len(rest_TM)) - len(rest_TM)
        kind = self.front_end.last_chunk
        if kind == "short":
            return rest_TM
        if kind == "drop" and head_TM is not None:
            return None
        if kind == "back" and before_TM is not None:
            return np.concatenate([before_TM[self._hop - missing : self._hop], rest_TM])
        source_TM = rest_TM if head_TM is None else head_TM
        filling_TM = source_TM.take(np.arange(missing), axis=0, mode="wrap")
        return np.concatenate([rest_TM, filling_TM])

    def num_chunks(self, num_samples: int) -> int:
        """Count the chunks of an utterance.

        Raises:
            ValueError: If it is too short for one frame.
        """
        total = self.front_end.num_frames(num_samples)
        if total == 0:
            raise self._too_short(f"an utterance of {num_samples} samples")
        whole, rest = self._whole(total)
        return whole + (rest > 0 and (not whole or self.front_end.last_chunk != "drop"))

    def _whole(self, frames: int) -> tuple[int, int]:
        """Return how many whole chunks so many frames make, and the new frames behind them."""
        size = self.num_frames or frames
        if frames < size:
            return 0, frames
        whole = (frames - size) // (self._hop or size) + 1
        return whole, frames - size - (whole - 1) * (self._hop or size)

    def padded_samples(self, num_samples: int) -> int:
        """Return how many samples' worth of audio is computed, the filling included.

        That is whole chunks, or the utterance itself if it is not cut.

        Raises:
            ValueError: If the utterance is too short for one frame.
        """
        count = self.num_chunks(num_samples)
        if self.num_frames is None:
            return num_samples
        whole, rest = self._whole(self.front_end.num_frames(num_samples))
        if self.front_end.last_chunk == "short" and rest:
            short = self.num_frames - self._hop if whole else 0
            return whole * self.samples_per_chunk + (rest + short) * self.front_end.frame_shift
        return count * self.samples_per_chunk

    def padded_audio_ns(self, num_samples: int) -> int:
        """Return `padded_samples` as a duration in nanoseconds, rounded down."""
        return self.padded_samples(num_samples) * _NS_PER_S // self.front_end.sample_rate_hz

    def _too_short(self, what: str) -> ValueError:
        needed = self.front_end.least_samples
        return ValueError(f"{what} is too short for one frame (needs {needed} samples)")


def _check(features_TM: Float32Array) -> bool:
    if features_TM.dtype != np.float32 or features_TM.ndim != 2:
        shape = list(features_TM.shape)
        raise ValueError(f"need float32[T, M] features, not {features_TM.dtype}{shape}")
    return True


def natural_chunk_samples(num_frames: int, front_end: FrontEnd = WESPEAKER) -> int:
    """Return the roundest chunk size that gives this many frames: 198 -> 32000."""
    shortest = (num_frames - 1) * front_end.frame_shift + front_end.frame_length
    if not front_end.waveform:
        shortest -= sum(front_end.fbank.padding(shortest))
    steps = [front_end.sample_rate_hz // parts for parts in NATURAL_PARTS]
    for step in filter(None, steps):
        size = max(-(-shortest // step), 1) * step
        if front_end.num_frames(size) == num_frames:
            return size
    near = range(max(shortest - front_end.frame_shift, 1), shortest + 2 * front_end.frame_shift)
    return next((size for size in near if front_end.num_frames(size) == num_frames), shortest)
