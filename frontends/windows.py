"""Features of windows that move over a recording: those of what overlaps are computed once."""

from typing import NamedTuple

import numpy as np

from rtfbench.frontends.front_end import Features, Float32Array, FrontEnd


class _Heard(NamedTuple):
    """The window of a stream that was heard last: where it lies, and its features [T, M]."""

    recording: str
    begin: int
    length: int
    features: Float32Array


class MovingWindows:
    """Remembers the last window of each stream. Not thread-safe.

    Attributes:
        frames: How many frames were asked for until now.
        known: How many of them were known from the window before.
    """

    def __init__(self, front_end: FrontEnd, compute: Features) -> None:
        """Begin with no stream."""
        self._front_end, self._compute = front_end, compute
        self._last: dict[int, _Heard] = {}
        self.frames = self.known = 0

    def __call__(
        self, stream: int, recording: str, begin: int, samples: Float32Array
    ) -> Float32Array:
        """Return the features of a stream's next window, float32[T, M], before they are normalised.

        Args:
            stream: Which one it is.
            recording: What it plays; of another one, nothing is known.
            begin: Where the window begins in the recording, in samples.
            samples: float32[N] of the window, in int16 scale.
        """
        moved = self._moved(self._last.get(stream), recording, begin, len(samples))
        total = self._front_end.num_frames(len(samples))
        if moved is None or moved >= total:
            features_TM, known = self._compute(samples), 0
        else:
            known = total - moved
            old_TM = self._last[stream].features[moved:]
            new_TM = self._compute(samples[known * self._front_end.frame_shift :])
            features_TM = np.concatenate([old_TM, new_TM])
        self.frames += total
        self.known += known
        self._last[stream] = _Heard(recording, begin, len(samples), features_TM)
        return features_TM

    def _moved(self, last: _Heard | None, recording: str, begin: int, length: int) -> int | None:
        """Return by how many frames a window lies behind the last one; None where none is known."""
        if last is None or (last.recording, last.length) != (recording, length):
            return None
        frames, rest = divmod(begin - last.begin, self._front_end.frame_shift)
        return None if rest or frames < 1 or not self._front_end.frames_stand_alone else frames
