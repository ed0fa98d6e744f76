"""Log mel filter bank features as Kaldi computes them, in plain numpy and float32.

Source of the definition: Kaldi's feat/feature-window and feat/feature-fbank without dither;
WeSpeaker's C++ runtime computes the same. Where other toolkits differ (NeMo, SpeechBrain), the
configuration says how.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from rtfbench.frontends.edges import Edges, emphasised, extended, padding
from rtfbench.frontends.spectra import (
    AnySizeSpectrum,
    Float32Array,
    MelScale,
    MelSides,
    PowerSpectrum,
    mel_weights,
)

Window = Literal["hamming", "povey", "hann", "rectangular"]

# Frames computed at a time: the workspace of a 16 kHz front end (1.5 MB when full) stays
# about as large as an L2 cache, and a chunk of 2 s is one block.
FRAMES_PER_BLOCK = 256
# Mel bins that share one matrix product; low bins need few spectrum rows, high bins many.
MEL_BINS_PER_GROUP = 20
# Blocks whose features a stream hands out together: ten seconds.
STREAM_BLOCKS = 4

EPSILON = float(np.finfo(np.float32).eps)
_DECIBELS = np.float32(10 / np.log(10))


def without_none(type_: Any) -> Any:
    """Return the type of a field that may be None."""
    return get_args(type_)[0] if get_origin(type_) in (Union, UnionType) else type_


def check_choices(value: Any) -> None:
    """Refuse what the type of a dataclass's field does not list.

    Raises:
        ValueError: With the field's name.
    """
    for each in fields(value):
        found, kind = getattr(value, each.name), without_none(each.type)
        may_be_none = found is None and kind is not each.type
        if get_origin(kind) is Literal and found not in get_args(kind) and not may_be_none:
            told = ", ".join(map(str, get_args(kind)))
            raise ValueError(f"{each.name} must be one of {told}, not {found!r}")


@dataclass(frozen=True)
class FbankConfig:
    """What defines a filter bank; the defaults are WeSpeaker's.

    Attributes:
        sample_rate_hz: Sample rate of the waveform.
        num_mel_bins: Features a frame (M), the energy apart.
        frame_length_ms: Length of the analysis window.
        frame_shift_ms: Step from one frame to the next.
        window: Window function; "povey" is Kaldi's default, "hamming" is WeSpeaker's.
        window_periodic: Whether the window's period is the frame length, not one sample less.
        preemphasis: Weight of the previous sample that is subtracted, 0 to 1.
        preemphasis_over: Whether a frame's first sample is its own predecessor ("frame"), or has
            the one before it in the signal.
        remove_dc: Whether every frame's mean is taken off first.
        dither: Only 0 is accepted: a benchmark must compute the same thing every time.
        edges: Where frames lie; see `rtfbench.frontends.edges`.
        fft_size: Length of the transform; None is the frame length up to a power of two.
        spectrum: What the mel triangles weigh.
        low_freq_hz: Where the lowest mel triangle begins.
        high_freq_hz: Where the highest mel triangle ends; None is the Nyquist frequency, and a
            negative one lies so far below it.
        mel_scale: The mel scale's formula.
        mel_sides: Whether the triangles' sides are straight over mel or over hertz.
        mel_norm: "slaney" gives every triangle the same area.
        log: Natural logarithm, or decibels.
        log_floor: The smallest energy whose logarithm is taken.
        log_floor_added: Whether the floor is added to the energies, not held against them.
        top_db: How far below the utterance's highest value the lowest may lie; None for any.
        energy_floor: Where given, the log energy of each frame is the first feature, and this
            the smallest energy.
    """

    sample_rate_hz: int = 16000
    num_mel_bins: int = 80
    frame_length_ms: float = 25
    frame_shift_ms: float = 10
    window: Window = "hamming"
    window_periodic: bool = False
    preemphasis: float = 0.97
    preemphasis_over: Literal["frame", "signal"] = "frame"
    remove_dc: bool = True
    dither: float = 0.0
    edges: Edges = "snip"
    fft_size: int | None = None
    spectrum: Literal["power", "magnitude"] = "power"
    low_freq_hz: float = 20.0
    high_freq_hz: float | None = None
    mel_scale: MelScale = "htk"
    mel_sides: MelSides = "mel"
    mel_norm: Literal["none", "slaney"] = "none"
    log: Literal["natural", "decibel"] = "natural"
    log_floor: float = EPSILON
    log_floor_added: bool = False
    top_db: float | None = None
    energy_floor: float | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If a value is out of range.
        """
        if self.sample_rate_hz <= 0:
            raise ValueError(f"sample_rate_hz must be positive, not {self.sample_rate_hz}")
        if self.num_mel_bins < 1:
            raise ValueError(f"num_mel_bins must be at least 1, not {self.num_mel_bins}")
        if self.frame_length < 2:
            raise ValueError(f"frame_length_ms={self.frame_length_ms} is under two samples")
        if self.frame_shift < 1:
            raise ValueError(f"frame_shift_ms={self.frame_shift_ms} is under one sample")
        check_choices(self)
        if self.fft_size is not None and self.fft_size < self.frame_length:
            raise ValueError(f"fft_size={self.fft_size} is under a frame ({self.frame_length})")
        if not self.log_floor > 0:
            raise ValueError(f"log_floor must be over 0, not {self.log_floor}")
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"preemphasis must be from 0 to 1, not {self.preemphasis}")
        if self.dither != 0:
            raise ValueError(f"dither must be 0 (features must be repeatable), not {self.dither}")
        if not 0 <= self.low_freq_hz < self.upper_freq_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"need 0 <= low_freq_hz < high_freq_hz <= {self.sample_rate_hz / 2:g} (Nyquist), "
                f"not {self.low_freq_hz:g} and {self.upper_freq_hz:g}"
            )

    @property
    def upper_freq_hz(self) -> float:
        """`high_freq_hz` with None and what is negative counted from the Nyquist frequency."""
        high_hz, nyquist_hz = self.high_freq_hz, self.sample_rate_hz / 2
        if high_hz is None:
            return nyquist_hz
        return high_hz if high_hz > 0 else nyquist_hz + high_hz

    @property
    def feat_dim(self) -> int:
        """Features a frame, with the energy."""
        return self.num_mel_bins + (self.energy_floor is not None)

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return int(self.sample_rate_hz * self.frame_length_ms / 1000)

    @property
    def frame_shift(self) -> int:
        """Samples from the start of a frame to the start of the next."""
        return int(self.sample_rate_hz * self.frame_shift_ms / 1000)

    @property
    def least_samples(self) -> int:
        """Samples of the shortest waveform that has a frame."""
        return self.frame_length if self.edges == "snip" else self.frame_shift

    @property
    def fft_length(self) -> int:
        """The length of the transform."""
        if self.fft_size is not None:
            return self.fft_size
        return max(4, 1 << (self.frame_length - 1).bit_length())

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of a waveform; may be 0."""
        before, behind = self.padding(num_samples)
        padded = num_samples + before + behind
        return max(0, (padded - self.frame_length) // self.frame_shift + 1)

    def padding(self, num_samples: int) -> tuple[int, int]:
        """Return how many samples are put before a waveform and behind it."""
        return padding(
            self.edges,
            num_samples,
            frame_length=self.frame_length,
            frame_shift=self.frame_shift,
            fft_length=self.fft_length,
        )

    def prepared(self, blocks: Iterable[Float32Array]) -> Iterator[Float32Array]:
        """Yield a waveform with all that lies beyond its ends, pre-emphasised where its signal is.

        Args:
            blocks: float32[N] each.

        Yields:
            float32[N] each; frames of these lie wholly inside.
        """
        if self.preemphasis_over == "signal":
            blocks = emphasised(blocks, np.float32(self.preemphasis))
        return extended(blocks, self.edges, self.padding)


class Fbank:
    """Computes features; keeps its workspace from call to call.

    Not thread-safe: give every thread its own. Run it with OPENBLAS_NUM_THREADS=1: the
    matrices are too small to gain from several BLAS threads, which wait for one another.
    """

    def __init__(self, config: FbankConfig | None = None, *, scale: float = 1.0) -> None:
        """Prepare tables for a configuration (default: `FbankConfig()`).

        Args:
            config: What is computed.
            scale: What samples are multiplied with first. That is done to the energies, so that
                whole numbers stay exact.

        Raises:
            ValueError: If a mel bin is so narrow that no bin of the spectrum falls into it.
        """
        self.config = config = config or FbankConfig()
        length = config.fft_length
        kind = AnySizeSpectrum if length & (length - 1) else PowerSpectrum
        self._power_spectrum: AnySizeSpectrum | PowerSpectrum = kind(config.frame_length, length)
        self._gain = np.float32(scale if config.spectrum == "magnitude" else scale**2)
        self._energy_gain = np.float32(scale**2)
        self._floor = np.float32(config.log_floor)
        self._window = _window(config)
        # One float32 constant for both uses below, so that a constant signal cancels to 0.
        in_frame = config.preemphasis if config.preemphasis_over == "frame" else 0.0
        self._leak = np.float32(1.0 - in_frame)
        self._mel_groups = _mel_groups(config, self._power_spectrum)
        samples = (FRAMES_PER_BLOCK - 1) * config.frame_shift + config.frame_length
        self._centred = np.empty(samples, np.float32)
        # The first is read with the others, and replaced: it must be a number.
        self._emphasised = np.zeros(samples, np.float32)
        self._scratch = np.empty(samples, np.float32)
        self._mean = np.empty((FRAMES_PER_BLOCK, 1), np.float32)
        width = self._power_spectrum.padded_length
        self._frames_TW = np.zeros((FRAMES_PER_BLOCK, width), np.float32)

    def __call__(self, samples: Float32Array) -> Float32Array:
        """Compute the features of a waveform.

        Args:
            samples: float32[N] in int16 scale (-32768 to 32767), at the configured rate.

        Returns:
            float32[T, M], T = `config.num_frames(N)`: log mel energies, with the defaults floored
            at log(2**-23). A fresh array.

        Raises:
            ValueError: If `samples` is not float32[N] or is too short for one frame.
        """
        if samples.dtype != np.float32 or samples.ndim != 1:
            raise ValueError(f"need float32[N] samples, not {samples.dtype}{list(samples.shape)}")
        config = self.config
        num_frames = config.num_frames(len(samples))
        if num_frames == 0:
            raise ValueError(
                f"{len(samples)} samples are too short for one frame "
                f"(needs {config.frame_length} samples)"
            )
        if config.edges != "snip" or config.preemphasis_over == "signal":
            samples = np.concatenate(list(config.prepared([samples])))
        features_TM = self._of_frames(np.ascontiguousarray(samples), num_frames)
        if config.top_db is not None:
            np.maximum(features_TM, features_TM.max() - config.top_db, out=features_TM)
        return features_TM

    def _of_frames(self, samples: Float32Array, num_frames: int) -> Float32Array:
        """Compute the features of frames that lie inside samples."""
        config = self.config
        features_TM = np.empty((num_frames, config.feat_dim), np.float32)
        for start in range(0, num_frames, FRAMES_PER_BLOCK):
            stop = min(start + FRAMES_PER_BLOCK, num_frames)
            begin = start * config.frame_shift
            end = (stop - 1) * config.frame_shift + config.frame_length
            self._block(samples[begin:end], features_TM[start:stop])
        mel_TM = features_TM[:, config.feat_dim - config.num_mel_bins :]
        if self._gain != 1:
            np.multiply(mel_TM, self._gain, out=mel_TM)
        raise_to_floor = np.add if config.log_floor_added else np.maximum
        raise_to_floor(mel_TM, self._floor, out=mel_TM)
        np.log(features_TM, out=features_TM)
        if config.log == "decibel":
            np.multiply(mel_TM, _DECIBELS, out=mel_TM)
        return features_TM

    def blocks(self, blocks: Iterable[Float32Array]) -> Iterator[Float32Array]:
        """Compute the features of a waveform that comes in blocks of any length.

        Frames are computed in the same groups as in one call, so that the features are the same
        to the last bit.

        Args:
            blocks: float32[N] each, as for a call.

        Yields:
            float32[T, M], in all as many frames as the whole waveform has; nothing for one that
            is too short for a frame.
        """
        if self.config.top_db is not None:
            # The highest value may come last.
            whole = list(blocks)
            if whole and self.config.num_frames(sum(map(len, whole))):
                yield self(np.concatenate(whole))
            return
        config, frames = self.config, STREAM_BLOCKS * FRAMES_PER_BLOCK
        step = frames * config.frame_shift
        needed = step + max(config.frame_length - config.frame_shift, 0)
        pending: list[Float32Array] = []
        for block in config.prepared(blocks):
            pending.append(block)
            if sum(map(len, pending)) < needed:
                continue
            samples = np.concatenate(pending)
            while len(samples) >= needed:
                yield self._of_frames(samples[:needed], frames)
                samples = samples[step:]
            pending = [samples]
        left = (sum(map(len, pending)) - config.frame_length) // config.frame_shift + 1
        if pending and left > 0:
            yield self._of_frames(np.concatenate(pending), left)

    def _block(self, samples: Float32Array, features_TM: Float32Array) -> None:
        """Write the energies of one block of frames to `features_TM`."""
        num_frames, length = len(features_TM), self.config.frame_length
        frames_TW = self._frames_TW[:num_frames]
        frames_TL = frames_TW[:, :length]
        mean = self._mean[:num_frames]

        # The mean of every frame is removed below, so any constant may go first. A whole
        # number leaves integer samples exact and spares the rest from a large DC offset.
        centred = self._centred[: len(samples)]
        constant = np.rint(samples.mean()) if self.config.remove_dc else np.float32(0)
        np.subtract(samples, constant, out=centred)

        # Pre-emphasis x[n] - p x[n-1] of the whole block instead of every frame, written as
        # (x[n] - x[n-1]) + (1 - p) x[n-1]: the difference of integers is exact, which keeps
        # the precision when the level drifts inside the block.
        emphasised = self._emphasised[: len(samples)]
        scratch = self._scratch[: len(samples)]
        np.multiply(centred, self._leak, out=scratch)
        np.subtract(centred[1:], centred[:-1], out=emphasised[1:])
        np.add(emphasised[1:], scratch[:-1], out=emphasised[1:])

        # Of a frame's mean, pre-emphasis leaves the part 1 - p.
        np.add.reduce(self._framed(centred, num_frames), axis=1, out=mean, keepdims=True)
        np.divide(mean, np.float32(length), out=mean)
        if not self.config.remove_dc:
            mean[:] = 0
        if self.config.energy_floor is not None:
            self._energies(self._framed(centred, num_frames) - mean, features_TM[:, 0])
        np.multiply(mean, self._leak, out=mean)
        np.subtract(self._framed(emphasised, num_frames), mean, out=frames_TL)
        # The first sample of a frame is its own predecessor.
        np.subtract(self._framed(scratch, num_frames)[:, 0], mean[:, 0], out=frames_TL[:, 0])
        np.multiply(frames_TL, self._window, out=frames_TL)

        power_RT = self._power_spectrum(frames_TW)
        if self.config.spectrum == "magnitude":
            np.sqrt(power_RT, out=power_RT)
        mel_TM = features_TM[:, self.config.feat_dim - self.config.num_mel_bins :]
        for rows, bins, weights_RM in self._mel_groups:
            np.matmul(power_RT[rows].T, weights_RM, out=mel_TM[:, bins])

    def _energies(self, frames_TL: Float32Array, energy_T: Float32Array) -> None:
        """Write the energy of every frame, as Kaldi's raw energy, no smaller than its floor."""
        found_T = np.einsum("tl,tl->t", frames_TL, frames_TL) * self._energy_gain
        floor = max(self.config.energy_floor or 0.0, EPSILON)
        np.maximum(found_T, np.float32(floor), out=energy_T)

    def _framed(self, samples: Float32Array, num_frames: int) -> Float32Array:
        """View samples as overlapping frames, float32[T, L]."""
        (step,) = samples.strides
        shape = (num_frames, self.config.frame_length)
        return as_strided(samples, shape, (step * self.config.frame_shift, step))


def _window(config: FbankConfig) -> Float32Array:
    """Make the window function, float32[L], the formulas of Kaldi's feature-window."""
    period = config.frame_length - (0 if config.window_periodic else 1)
    phase = 2 * np.pi / period * np.arange(config.frame_length)
    if config.window == "hamming":
        window: npt.NDArray[np.float64] = 0.54 - 0.46 * np.cos(phase)
    elif config.window == "rectangular":
        window = np.ones(config.frame_length)
    else:
        window = (0.5 - 0.5 * np.cos(phase)) ** (0.85 if config.window == "povey" else 1.0)
    return window.astype(np.float32)


def _mel_groups(
    config: FbankConfig, spectrum: PowerSpectrum | AnySizeSpectrum
) -> list[tuple[slice, slice, Float32Array]]:
    """Cut the mel matrix into (spectrum rows, mel bins, weights) without most of its zeros."""
    by_bin = mel_weights(
        num_mel_bins=config.num_mel_bins,
        low_freq_hz=config.low_freq_hz,
        high_freq_hz=config.upper_freq_hz,
        sample_rate_hz=config.sample_rate_hz,
        fft_length=config.fft_length,
        scale=config.mel_scale,
        sides=config.mel_sides,
        same_area=config.mel_norm == "slaney",
    )
    by_row = by_bin[spectrum.bin_of_row]
    seen = np.unique(spectrum.bin_of_row, return_index=True)[1]
    twin = np.ones(spectrum.num_rows, bool)
    twin[seen] = False
    by_row[twin] = 0  # a bin that comes twice counts once
    groups: list[tuple[slice, slice, Float32Array]] = []
    for start in range(0, config.num_mel_bins, MEL_BINS_PER_GROUP):
        bins = slice(start, min(start + MEL_BINS_PER_GROUP, config.num_mel_bins))
        used = np.flatnonzero(by_row[:, bins].any(axis=1))
        rows = slice(int(used[0]), int(used[-1]) + 1)
        groups.append((rows, bins, np.ascontiguousarray(by_row[rows, bins])))
    return groups
