"""Features of windows that move over a recording: those of what overlaps are computed once."""

from typing import NamedTuple

import numpy as np

from rtfbench.frontends.front_end import Features, FrontEnd
from rtfbench.frontends.spectra import Float32Array


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
        front_end, total = self._front_end, self._front_end.num_frames(len(samples))
        last, moved = self._last.get(stream), 0
        if last is not None and (last.recording, last.length) == (recording, len(samples)):
            moved, rest = divmod(begin - last.begin, front_end.frame_shift)
            moved = moved if front_end.frames_stand_alone and not rest else 0
        if last is not None and 0 < moved < total:
            known = total - moved
            new_TM = self._compute(samples[known * front_end.frame_shift :])
            features_TM = np.concatenate([last.features[moved:], new_TM])
        else:
            features_TM, known = self._compute(samples), 0
        self.frames += total
        self.known += known
        self._last[stream] = _Heard(recording, begin, len(samples), features_TM)
        return features_TM
