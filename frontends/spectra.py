"""From frames to mel bands: power spectra of many short real frames at once, and mel filters."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


class PowerSpectrum:
    """Power spectra of float32 frames, by two matrix products; zero padding costs nothing.

    numpy's FFT takes one row after the other in scalar code. A frame here is so short that the same
    transform, split once in the manner of Cooley and Tukey and handed to BLAS, is several times as
    fast in float32 and no less accurate.

    With fft length F = A * B and time index n = B * a + b, bin k of a frame is::

        X[k] = sum_b exp(-2i pi b k / F) * S[k mod A, b]
        S[r, b] = sum_a x[B * a + b] * exp(-2i pi a r / A)

    Round one computes S for r = 0 ... A/2: the frames are real, so the other remainders hold
    only mirror images. Round two takes, for every r, the sum over b.

    The rows of the result are not sorted by frequency; `bin_of_row` says which bin each
    holds. Some bins come twice. Rows fall into `sqrt(fft_length)` bands or so, and bands
    rise with frequency, so that neighbouring bins lie in one short range of rows.

    Attributes:
        padded_length: Columns W that a frame matrix must have; those behind the frame
            length must be zero.
        num_rows: Rows R of the result.
        bin_of_row: int64[R], the bin (0 to fft_length / 2) of every row.
    """

    def __init__(self, frame_length: int, fft_length: int) -> None:
        """Prepare the matrices.

        Args:
            frame_length: Samples a frame, at most `fft_length`.
            fft_length: Length after zero padding, a power of two from 4 upwards.

        Raises:
            ValueError: If the lengths break these rules.
        """
        if fft_length < 4 or fft_length & (fft_length - 1):
            raise ValueError(f"fft_length must be a power of two >= 4, not {fft_length}")
        if not 0 < frame_length <= fft_length:
            raise ValueError(f"frame_length {frame_length} does not fit fft_length {fft_length}")
        inner = 1 << (fft_length.bit_length() - 1) // 2  # B, the faster time index
        outer = fft_length // inner  # A
        used = math.ceil(frame_length / inner)  # a beyond this meets only zeros
        remainder = np.arange(outer // 2 + 1)

        self.padded_length = used * inner
        self.num_rows = inner * len(remainder)
        self._inner, self._used, self._remainders = inner, used, len(remainder)

        angle = 2 * np.pi / outer * (remainder[:, None] * np.arange(used))
        first = np.stack([np.cos(angle), -np.sin(angle)], axis=1)  # [r, re|im, a]
        self._first = first.reshape(-1, used).astype(np.float32)

        # Band j is the bins k = r + A * j / 2 for even j, and for odd j the negative ones
        # k = r - A * (j + 1) / 2, whose power is that of -k. So |k| rises with j.
        band = np.arange(inner)
        shift = np.where(band % 2 == 0, band // 2, -(band + 1) // 2) * outer
        bin_RJ = remainder[:, None] + shift
        self.bin_of_row: npt.NDArray[np.int64] = np.abs(bin_RJ).T.reshape(-1)
        angle = 2 * np.pi / fft_length * (bin_RJ[:, :, None] * np.arange(inner))
        cos, sin = np.cos(angle), np.sin(angle)
        real = np.concatenate([cos, sin], axis=2)
        imag = np.concatenate([-sin, cos], axis=2)
        second = np.concatenate([real, imag], axis=1)  # [r, (re|im, j), (re|im, b)]
        self._second = second.astype(np.float32)

        self._partial = np.empty(0, np.float32)
        self._complex = np.empty(0, np.float32)

    def __call__(self, frames_TW: Float32Array) -> Float32Array:
        """Compute |X|^2.

        Args:
            frames_TW: float32[T, padded_length], C-contiguous.

        Returns:
            float32[num_rows, T]: a view of the workspace, good until the next call.
        """
        num_frames = len(frames_TW)
        size = 2 * self.num_rows * num_frames
        if self._partial.size < size:
            self._partial = np.empty(size, np.float32)
            self._complex = np.empty(size, np.float32)
        remainders = self._remainders
        partial = self._partial[:size].reshape(num_frames, 2 * remainders, self._inner)
        spectrum = self._complex[:size].reshape(2 * self._inner, remainders, num_frames)

        np.matmul(self._first, frames_TW.reshape(num_frames, self._used, self._inner), out=partial)
        partial_RBT = partial.reshape(num_frames, remainders, 2 * self._inner).transpose(1, 2, 0)
        # Both operands and the output are strided views that BLAS takes as they are.
        np.matmul(self._second, partial_RBT, out=spectrum.transpose(1, 0, 2))

        flat = self._complex[:size]
        np.multiply(flat, flat, out=flat)
        power, imag = flat[: size // 2], flat[size // 2 :]
        np.add(power, imag, out=power)
        return power.reshape(self.num_rows, num_frames)


class AnySizeSpectrum:
    """Power spectra for transforms whose length is no power of two, by numpy's own; see above."""

    def __init__(self, frame_length: int, fft_length: int) -> None:
        """Note the lengths.

        Raises:
            ValueError: If a frame does not fit.
        """
        if not 0 < frame_length <= fft_length:
            raise ValueError(f"frame_length {frame_length} does not fit fft_length {fft_length}")
        self.padded_length = frame_length
        self.num_rows = fft_length // 2 + 1
        self.bin_of_row: npt.NDArray[np.int64] = np.arange(self.num_rows)
        self._fft_length = fft_length

    def __call__(self, frames_TW: Float32Array) -> Float32Array:
        """Compute |X|^2: float32[num_rows, T]."""
        spectrum_TR = np.fft.rfft(frames_TW, self._fft_length)
        power_TR = spectrum_TR.real**2 + spectrum_TR.imag**2
        return np.ascontiguousarray(power_TR.T, np.float32)


MelScale = Literal["htk", "slaney"]
#: hertz-even: over hertz, and falling as they rise, as SpeechBrain draws them.
MelSides = Literal["mel", "hertz", "hertz-even"]

# Slaney's scale: linear up to 1 kHz, 15 mel there, then 27 mel for each factor of 6.4.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


def mel_weights(
    *,
    num_mel_bins: int,
    low_freq_hz: float,
    high_freq_hz: float,
    sample_rate_hz: int,
    fft_length: int,
    scale: MelScale = "htk",
    sides: MelSides = "mel",
    same_area: bool = False,
) -> npt.NDArray[np.float32]:
    """Make the mel triangles, float32[fft_length / 2 + 1, num_mel_bins].

    Triangles have their corners at equal distances on the mel scale, and straight sides on that
    scale too or over hertz. As in Kaldi the bin at the Nyquist frequency has no weight. Those of
    the same area are divided by half their width in hertz.

    Raises:
        ValueError: If a triangle holds no bin of the spectrum.
    """
    low, high = _mel(low_freq_hz, scale), _mel(high_freq_hz, scale)
    corner = np.linspace(low, high, num_mel_bins + 2)
    bins = np.arange(fft_length // 2 + 1)
    place = bins * (sample_rate_hz / fft_length)
    corner_hz = _hertz(corner, scale)
    if sides == "mel":
        place = _mel(place, scale)
    else:
        corner = corner_hz
    place = place[:, None]
    rising = (place - corner[:-2]) / (corner[1:-1] - corner[:-2])
    falling = (corner[2:] - place) / (corner[2:] - corner[1:-1])
    if sides == "hertz-even":
        falling = 2 - (place - corner[:-2]) / (corner[1:-1] - corner[:-2])
    weights = np.maximum(np.minimum(rising, falling), 0)
    if sides == "mel" and fft_length % 2 == 0:
        weights[-1] = 0
    if not weights.any(axis=0).all():
        raise ValueError(
            f"num_mel_bins={num_mel_bins} is too many for a spectrum of {fft_length // 2} bins: "
            "some would be empty; use fewer"
        )
    if same_area:
        weights *= 2 / (corner_hz[2:] - corner_hz[:-2])
    return weights.astype(np.float32)


def _mel(freq_hz: npt.ArrayLike, scale: MelScale) -> npt.NDArray[np.float64]:
    freq_hz = np.asarray(freq_hz, np.float64)
    if scale == "htk":
        return 1127.0 * np.log1p(freq_hz / 700.0)
    above = np.log(np.maximum(freq_hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.asarray(np.minimum(freq_hz, _BREAK_HZ) / _HZ_PER_MEL + above)


def _hertz(mel: npt.NDArray[np.float64], scale: MelScale) -> npt.NDArray[np.float64]:
    if scale == "htk":
        return 700.0 * np.expm1(mel / 1127.0)
    at_break = _BREAK_HZ / _HZ_PER_MEL
    above = np.exp(np.maximum(mel - at_break, 0) * _LOG_STEP)
    return np.asarray(np.minimum(mel, at_break) * _HZ_PER_MEL * above)
