"""Recordings as they come: reverberation, noise, a channel. Pure numpy, int16 scale."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_RATE_HZ = 16000
_DIRECT_S = 0.002
_LEVELS = (800.0, 8000.0)
#: Speech over noise, from a busy street to a quiet room.
SNR_DB = (5.0, 30.0)
#: Exponents of noise spectra over frequency: white, pink, brown.
_COLOURS = (0.0, 0.5, 1.0)


def draw_room(rng: np.random.Generator) -> Samples:
    """Draw a room's impulse response: a direct path, then noise that decays by 60 dB in T60."""
    t60_s = rng.uniform(0.1, 0.7)
    num_samples = int(t60_s * _RATE_HZ)
    time_s = np.arange(num_samples) / _RATE_HZ
    tail = rng.standard_normal(num_samples) * 10 ** (-3 * time_s / t60_s)
    tail[time_s < _DIRECT_S] = 0
    response = tail * (rng.uniform(0.05, 0.5) / np.linalg.norm(tail))
    response[0] = 1
    return response.astype(np.float32)


def reverberate(samples: Samples, room: Samples) -> Samples:
    """Return what is heard of a source in a room, as long as the source."""
    size = 1 << (len(samples) + len(room) - 2).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(room, size)
    heard: Samples = np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
    return heard


def draw_noise(num_samples: int, rng: np.random.Generator) -> Samples:
    """Draw stationary noise of a random colour."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.maximum(np.arange(len(spectrum)), 1)
    noise: Samples = np.fft.irfft(
        spectrum * frequency ** -rng.choice(_COLOURS), num_samples
    ).astype(np.float32)
    return noise


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise of the same length at a ratio of powers."""
    ratio = np.linalg.norm(samples) / max(float(np.linalg.norm(noise)), 1e-9)
    return samples + noise * np.float32(ratio * 10 ** (-snr_db / 20))


def recorded(
    samples: Samples, rng: np.random.Generator, snr_db: tuple[float, float] = SNR_DB
) -> Samples:
    """Return speech as a microphone in a noisy room would record it, at a random level."""
    if rng.random() < 0.7:
        samples = reverberate(samples, draw_room(rng))
    samples = add_noise(samples, draw_noise(len(samples), rng), rng.uniform(*snr_db))
    level = rng.uniform(*_LEVELS)
    return samples * np.float32(level / max(float(samples.std()), 1e-9))
