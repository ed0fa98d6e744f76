"""Mel filter bank weights, as in Kaldi's feat/mel-computations and as in Slaney's toolbox."""

from typing import Literal

import numpy as np
import numpy.typing as npt

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
