"""Mel filter bank weights as in Kaldi's feat/mel-computations."""

import numpy as np
import numpy.typing as npt


def mel_weights(
    *,
    num_mel_bins: int,
    low_freq_hz: float,
    high_freq_hz: float,
    sample_rate_hz: int,
    fft_length: int,
) -> npt.NDArray[np.float32]:
    """Make the mel triangles, float32[fft_length / 2 + 1, num_mel_bins].

    Triangles have their corners at equal distances on the mel scale and straight sides on
    that scale too. As in Kaldi the bin at the Nyquist frequency has no weight.

    Raises:
        ValueError: If a triangle holds no bin of the spectrum.
    """
    corner = np.linspace(_mel(low_freq_hz), _mel(high_freq_hz), num_mel_bins + 2)
    bins = np.arange(fft_length // 2 + 1)
    mel = _mel(bins * (sample_rate_hz / fft_length))[:, None]
    rising = (mel - corner[:-2]) / (corner[1:-1] - corner[:-2])
    falling = (corner[2:] - mel) / (corner[2:] - corner[1:-1])
    weights = np.maximum(np.minimum(rising, falling), 0)
    weights[-1] = 0
    if not weights.any(axis=0).all():
        raise ValueError(
            f"num_mel_bins={num_mel_bins} is too many for a spectrum of {fft_length // 2} bins: "
            "some would be empty; use fewer"
        )
    return weights.astype(np.float32)


def _mel(freq_hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 1127.0 * np.log1p(np.asarray(freq_hz, np.float64) / 700.0)
