"""The filter bank: right by two references, at every edge, and safe to reuse."""

from dataclasses import replace
from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.frontends.fbank import FRAMES_PER_BLOCK, Fbank, FbankConfig
from rtfbench.frontends.spectra import PowerSpectrum, mel_weights

Array = npt.NDArray[Any]
Float32Array = npt.NDArray[np.float32]

RATE_HZ = 16000
FLOOR = np.log(np.float32(2.0**-23))


def kaldi(samples: Float32Array, config: FbankConfig | None = None) -> Float32Array:
    """Compute float32[T, M] with kaldi-native-fbank."""
    config = config or FbankConfig()
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = config.sample_rate_hz
    options.frame_opts.window_type = config.window
    options.frame_opts.preemph_coeff = config.preemphasis
    options.frame_opts.frame_length_ms = config.frame_length_ms
    options.frame_opts.frame_shift_ms = config.frame_shift_ms
    options.mel_opts.num_bins = config.num_mel_bins
    options.mel_opts.low_freq = config.low_freq_hz
    options.mel_opts.high_freq = config.high_freq_hz or 0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(config.sample_rate_hz, samples.tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(index) for index in range(fbank.num_frames_ready)]
    return np.array(frames, np.float32)


def exact(samples: Float32Array) -> Array:
    """Compute float64[T, M] by the definition, frame by frame, for the default config."""
    framed = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 400)[::160]
    centred = framed - framed.mean(axis=1, keepdims=True)
    previous = np.concatenate([centred[:, :1], centred[:, :-1]], axis=1)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)
    power = np.abs(np.fft.rfft((centred - 0.97 * previous) * window, 512)) ** 2
    weights = mel_weights(
        num_mel_bins=80, low_freq_hz=20, high_freq_hz=8000, sample_rate_hz=RATE_HZ, fft_length=512
    )
    energy_TM: Array = np.maximum(power @ weights.astype(np.float64), 2.0**-23)
    return np.log(energy_TM)


def speech_like(num_samples: int) -> Array:
    """Make harmonics of a gliding pitch with a syllable rhythm, pauses and some noise."""
    rng = np.random.default_rng(5)
    time_s = np.arange(num_samples) / RATE_HZ
    phase = 2 * np.pi * (130 * time_s + 4 * np.sin(2 * np.pi * 0.7 * time_s))
    voice = sum((np.sin(k * phase) / k for k in range(1, 25)), np.zeros(num_samples))
    rhythm = np.maximum(np.sin(2 * np.pi * 3 * time_s), 0) ** 2
    samples: Array = np.rint(6000 * voice * rhythm + rng.standard_normal(num_samples) * 3)
    return samples


def signals() -> dict[str, Float32Array]:
    """Make 3 s each of easy and of awkward audio."""
    n = 3 * RATE_HZ
    rng = np.random.default_rng(7)
    noise = rng.standard_normal(n)
    time_s = np.arange(n) / RATE_HZ
    made: dict[str, Array] = {
        "random": noise * 3000,
        "speech-like": speech_like(n),
        "DC offset": np.rint(noise * 50) + 1000,
        "quiet": np.rint(noise * 0.6),
        "under one step": noise * 1e-3,
        "sine 1 kHz": 20000 * np.sin(2 * np.pi * 1000 * time_s),
        "sine 77.3 Hz": 30000 * np.sin(2 * np.pi * 77.3 * time_s),
        "rumble 3 Hz": np.rint(20000 * np.sin(2 * np.pi * 3 * time_s) + noise),
        "fade out": noise * 10000 * 10 ** (-2 * time_s),
        "silence": np.zeros(n),
        "constant": np.full(n, 5000.0),
        "level step": np.where(time_s < 1.3, 5000.0, -3000.0),
        "click": (np.arange(n) == 3000) * 1000.0,
    }
    return {name: samples.astype(np.float32) for name, samples in made.items()}


SIGNALS = signals()


@pytest.mark.parametrize("name", SIGNALS)
def test_agrees_with_kaldi(name: str) -> None:
    """Features are those of kaldi-native-fbank to 1e-3, whatever the audio."""
    np.testing.assert_allclose(Fbank()(SIGNALS[name]), kaldi(SIGNALS[name]), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", SIGNALS)
def test_agrees_with_the_definition(name: str) -> None:
    """Features are those of a double-precision computation to 1e-3."""
    np.testing.assert_allclose(Fbank()(SIGNALS[name]), exact(SIGNALS[name]), rtol=0, atol=1e-3)


@pytest.mark.parametrize("offset", [-30000.0, 30000.0])
def test_large_dc_offset_costs_no_precision(offset: float) -> None:
    """Two steps of noise on a huge offset are exact, where frame-wise float32 errs by 1e-2."""
    samples = SIGNALS["quiet"] * np.float32(2) + np.float32(offset)
    np.testing.assert_allclose(Fbank()(samples), exact(samples), rtol=0, atol=1e-3)


@pytest.mark.parametrize("level", [0, 1, -5000, 32767])
def test_constant_signal_is_at_the_floor(level: int) -> None:
    """A signal without any movement gives exactly the log of the float32 epsilon."""
    features = Fbank()(np.full(RATE_HZ, level, np.float32))
    np.testing.assert_array_equal(features, np.full_like(features, FLOOR))


@pytest.mark.parametrize(
    "config",
    [
        FbankConfig(sample_rate_hz=8000, num_mel_bins=40),
        FbankConfig(sample_rate_hz=48000),
        FbankConfig(sample_rate_hz=44100, num_mel_bins=64),
        FbankConfig(window="povey"),
        FbankConfig(preemphasis=0.0),
        FbankConfig(preemphasis=1.0),
        FbankConfig(num_mel_bins=23, low_freq_hz=100, high_freq_hz=6000),
        FbankConfig(frame_length_ms=32, frame_shift_ms=16),
        FbankConfig(frame_length_ms=20, frame_shift_ms=30),
    ],
    ids=str,
)
def test_other_configurations_agree_with_kaldi(config: FbankConfig) -> None:
    """Every setting means what it means in Kaldi."""
    samples = SIGNALS["random"]
    expected = kaldi(samples, config)
    np.testing.assert_allclose(Fbank(config)(samples), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "num_frames", [1, 2, FRAMES_PER_BLOCK - 1, FRAMES_PER_BLOCK, FRAMES_PER_BLOCK + 1]
)
def test_block_boundaries_leave_no_trace(num_frames: int) -> None:
    """The pieces of a minute of audio have the features of the whole."""
    samples = np.random.default_rng(3).standard_normal(60 * RATE_HZ).astype(np.float32) * 1000
    fbank = Fbank()
    whole = fbank(samples)
    for start in (0, FRAMES_PER_BLOCK - 1, len(whole) - num_frames):
        piece = samples[start * 160 : (start + num_frames - 1) * 160 + 400]
        np.testing.assert_allclose(
            fbank(piece), whole[start : start + num_frames], rtol=0, atol=5e-4
        )


@pytest.mark.parametrize("block_samples", [7000, 160_000, 1_000_000])
@pytest.mark.parametrize("num_samples", [400, 164_079, 164_080, 500_000])
@pytest.mark.parametrize("frame_shift_ms", [10, 30])
def test_blocks_give_the_same_features(
    num_samples: int, block_samples: int, frame_shift_ms: float
) -> None:
    """A waveform in blocks of any length has the features of the whole, to the last bit."""
    samples = speech_like(num_samples).astype(np.float32)
    fbank = Fbank(FbankConfig(frame_shift_ms=frame_shift_ms))
    blocks = (samples[i : i + block_samples] for i in range(0, num_samples, block_samples))
    streamed = np.concatenate(list(fbank.blocks(blocks)))
    np.testing.assert_array_equal(streamed, fbank(samples))


def test_blocks_too_short_for_a_frame_give_nothing() -> None:
    """What is too short in one piece is too short in several."""
    assert list(Fbank().blocks([np.zeros(200, np.float32), np.zeros(199, np.float32)])) == []
    assert list(Fbank().blocks([])) == []


def test_result_is_fresh_and_workspace_bounded() -> None:
    """A later call changes no earlier result, and a long recording grows no workspace."""
    fbank = Fbank()
    first = fbank(SIGNALS["random"])
    kept = first.copy()
    fbank(np.zeros(60 * RATE_HZ, np.float32))
    second = fbank(SIGNALS["random"])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, kept)
    spectrum = fbank._power_spectrum
    buffers = [*vars(fbank).values(), *vars(spectrum).values()]
    for buffer in (each for each in buffers if isinstance(each, np.ndarray)):
        assert not np.shares_memory(first, buffer)
        assert buffer.size <= 2 * spectrum.num_rows * FRAMES_PER_BLOCK


def test_result_is_float32_and_contiguous() -> None:
    """Engines get float32 rows without a gap."""
    features = Fbank()(SIGNALS["random"])
    assert features.dtype == np.float32
    assert features.flags.c_contiguous
    assert features.flags.owndata


def test_strided_and_read_only_samples() -> None:
    """One column of an interleaved recording will do, and is left as it was."""
    stereo = np.stack([SIGNALS["random"], SIGNALS["quiet"]], axis=1)
    before = stereo.copy()
    stereo.flags.writeable = False
    np.testing.assert_array_equal(Fbank()(stereo[:, 0]), Fbank()(SIGNALS["random"]))
    np.testing.assert_array_equal(stereo, before)


@pytest.mark.parametrize(
    ("num_samples", "num_frames"),
    [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (32000, 198), (960000, 5998)],
)
def test_num_frames_snips_edges(num_samples: int, num_frames: int) -> None:
    """Only frames that lie wholly inside the signal count, and as many come out."""
    assert FbankConfig().num_frames(num_samples) == num_frames
    if num_frames:
        assert len(Fbank()(np.ones(num_samples, np.float32))) == num_frames


def test_too_short_is_refused() -> None:
    """One sample less than a frame is an error that says how many are needed."""
    with pytest.raises(ValueError, match=r"too short for one frame \(needs 400 samples\)"):
        Fbank()(np.zeros(399, np.float32))


@pytest.mark.parametrize(
    "samples", [np.zeros(4000), np.zeros(4000, np.int16), np.zeros((1, 4000), np.float32)]
)
def test_wrong_arrays_are_refused(samples: Array) -> None:
    """Samples of another type or shape are an error, never a silent conversion."""
    with pytest.raises(ValueError, match=r"float32\[N\]"):
        Fbank()(samples)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate_hz", 0),
        ("num_mel_bins", 0),
        ("frame_length_ms", 0.01),
        ("frame_shift_ms", 0),
        ("window", "hanning"),
        ("preemphasis", 1.5),
        ("dither", 1.0),
        ("low_freq_hz", -1.0),
        ("low_freq_hz", 8000.0),
        ("high_freq_hz", 10.0),
        ("high_freq_hz", 8001.0),
    ],
)
def test_bad_configuration_is_refused(field: str, value: Any) -> None:
    """A value out of range is refused by name."""
    with pytest.raises(ValueError, match=field):
        replace(FbankConfig(), **{field: value})


def test_empty_mel_bins_are_refused() -> None:
    """More mel bins than the spectrum can feed are an error, not rows of floor."""
    with pytest.raises(ValueError, match="num_mel_bins=200"):
        Fbank(FbankConfig(num_mel_bins=200))


@pytest.mark.parametrize("fft_length", [4, 8, 32, 128, 256, 512, 1024, 2048])
def test_power_spectrum_is_that_of_the_fft(fft_length: int) -> None:
    """Every bin from 0 to Nyquist appears and has the power that an FFT finds."""
    frame_length = fft_length * 3 // 4
    spectrum = PowerSpectrum(frame_length, fft_length)
    frames_TW = np.zeros((7, spectrum.padded_length), np.float32)
    frames_TW[:, :frame_length] = np.random.default_rng(1).standard_normal((7, frame_length))
    expected = np.abs(np.fft.rfft(frames_TW.astype(np.float64)[:, :frame_length], fft_length)) ** 2
    assert set(spectrum.bin_of_row) == set(range(fft_length // 2 + 1))
    power = spectrum(frames_TW)
    np.testing.assert_allclose(power, expected.T[spectrum.bin_of_row], atol=1e-5 * expected.max())


@pytest.mark.parametrize(("frame_length", "fft_length"), [(3, 2), (400, 500), (0, 512), (513, 512)])
def test_power_spectrum_refuses_bad_lengths(frame_length: int, fft_length: int) -> None:
    """Only a power of two that holds the frame is a length."""
    with pytest.raises(ValueError, match="fft_length"):
        PowerSpectrum(frame_length, fft_length)
