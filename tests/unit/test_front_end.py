"""Front ends: each preset is what its toolkit computes, in one call and in blocks."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import kaldi_native_fbank as knf
import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.embed.pipeline import front_end_text, read_front_end
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import ChunkPolicy, natural_chunk_samples
from rtfbench.frontends.edges import Edges
from rtfbench.frontends.fbank import FbankConfig
from rtfbench.frontends.front_end import PRESETS, UNIT, WESPEAKER, Features, FrontEnd
from tests.unit.test_fbank import speech_like

Float32Array = npt.NDArray[np.float32]
RATE_HZ = 16000
LIBROSA = Path(__file__).parents[1] / "golden" / "librosa_mel.npz"


def recording(rate_hz: int = RATE_HZ) -> Float32Array:
    """Make two seconds of something like speech, with a pause of digital silence."""
    samples = speech_like(2 * rate_hz).astype(np.float32)
    samples[rate_hz // 2 : rate_hz // 2 + rate_hz // 5] = 0
    return samples


def by_kaldi(samples: Float32Array, front_end: FrontEnd) -> Float32Array:
    """Compute float32[T, M] with kaldi-native-fbank, which sherpa-onnx uses."""
    config = front_end.fbank
    options = knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.dither = 0
    frame.samp_freq = config.sample_rate_hz
    frame.window_type = {"hann": "hanning"}.get(config.window, config.window)
    frame.preemph_coeff = config.preemphasis
    frame.remove_dc_offset = config.remove_dc
    frame.snip_edges = config.edges == "snip"
    frame.frame_length_ms = config.frame_length_ms
    frame.frame_shift_ms = config.frame_shift_ms
    mel.num_bins = config.num_mel_bins
    mel.low_freq = config.low_freq_hz
    mel.high_freq = config.high_freq_hz or 0
    mel.is_librosa = config.mel_scale == "slaney"
    options.use_power = config.spectrum == "power"
    options.use_energy = config.energy_floor is not None
    options.energy_floor = config.energy_floor or 0
    fbank = knf.OnlineFbank(options)
    scale = UNIT if front_end.scale == "unit" else 1
    fbank.accept_waveform(config.sample_rate_hz, (samples * np.float32(scale)).tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(index) for index in range(fbank.num_frames_ready)]
    return np.array(frames, np.float32)


def changed(base: str, **values: Any) -> FrontEnd:
    """Return a preset with some values changed."""
    return PRESETS[base].with_values(values)


KALDI_LIKE = {
    **{name: PRESETS[name] for name in ("wespeaker", "3d-speaker", "sherpa-onnx", "kaldi")},
    "8 kHz": changed("wespeaker", sample_rate_hz=8000),
    "8 kHz by sherpa-onnx": changed("sherpa-onnx", sample_rate_hz=8000),
    "magnitude": changed("wespeaker", spectrum="magnitude"),
    "magnitude of unit scale": changed("3d-speaker", spectrum="magnitude"),
    "no DC removal": changed("wespeaker", remove_dc=False),
    "no pre-emphasis": changed("wespeaker", preemphasis=0.0),
    "hann": changed("wespeaker", window="hann"),
    "rectangular": changed("wespeaker", window="rectangular"),
    "mel range": changed("wespeaker", low_freq_hz=60.0, high_freq_hz=7000.0),
    "long frames": changed("sherpa-onnx", frame_length_ms=32.0, frame_shift_ms=12.5),
    "energy": changed("wespeaker", energy_floor=1.0),
    "energy of unit scale": changed("3d-speaker", energy_floor=1e-6),
    "slaney": changed(
        "3d-speaker", mel_scale="slaney", mel_sides="hertz", mel_norm="slaney", low_freq_hz=0.0
    ),
}


@pytest.mark.parametrize("name", KALDI_LIKE)
def test_agrees_with_kaldi_native_fbank(name: str) -> None:
    """Features are those of kaldi-native-fbank to 1e-3, silence within speech included."""
    front_end = KALDI_LIKE[name]
    samples = recording(front_end.sample_rate_hz)
    features_TM = Features(front_end)(samples)
    expected_TM = by_kaldi(samples, front_end)
    assert features_TM.shape == expected_TM.shape
    np.testing.assert_allclose(features_TM, expected_TM, rtol=0, atol=1e-3)


def spectra(samples: npt.NDArray[Any], *, fft: int, window: Any) -> npt.NDArray[np.float64]:
    """Return power spectra [T, fft / 2 + 1] by torch, zeros beyond the ends."""
    torch = pytest.importorskip("torch")
    signal = torch.from_numpy(samples.astype(np.float64))
    spectrum = torch.stft(
        signal, fft, 160, 400, window, center=True, pad_mode="constant", return_complex=True
    )
    return np.asarray((spectrum.abs() ** 2).numpy().T, np.float64)


#: What librosa is asked for: its import takes longer than all tests of front ends.
MEL: dict[str, dict[str, Any]] = {
    "slaney": {"n_mels": 80, "fmin": 0, "fmax": 8000, "norm": "slaney"},
    "htk": {"n_mels": 40, "htk": True, "norm": None},
}


def librosas(name: str) -> npt.NDArray[np.float32]:
    """Return mel filters that librosa made, [M, 257]."""
    with np.load(LIBROSA) as stored:
        found: npt.NDArray[np.float32] = stored[name]
    return found


@pytest.mark.deep
@pytest.mark.parametrize("name", MEL)
def test_librosa_makes_the_stored_filters(name: str) -> None:
    """The golden file is what the installed librosa makes."""
    filters = pytest.importorskip("librosa").filters
    made_MR = filters.mel(sr=RATE_HZ, n_fft=512, **MEL[name])
    np.testing.assert_allclose(librosas(name), made_MR, rtol=1e-6, atol=1e-9)


def nemo_by_torch(samples: Float32Array) -> Float32Array:
    """Compute NeMo's recipe by torch.stft and librosa's mel filters: float32 [T, 80]."""
    torch = pytest.importorskip("torch")
    signal = samples.astype(np.float64) * UNIT
    signal[1:] = signal[1:] - 0.97 * signal[:-1]
    hann = torch.hann_window(400, periodic=False, dtype=torch.float64)
    power_TR = spectra(signal, fft=512, window=hann)[: len(samples) // 160]
    log_TM = np.log(power_TR @ librosas("slaney").T + 2.0**-24)
    normalized_TM = (log_TM - log_TM.mean(0)) / (log_TM.std(0, ddof=1) + 1e-5)
    found: Float32Array = normalized_TM.astype(np.float32)
    return found


def speechbrain_by_torch(samples: Float32Array) -> Float32Array:
    """Compute SpeechBrain's recipe by torch.stft and its even triangles: float32 [T, 80]."""
    torch = pytest.importorskip("torch")
    power_TR = spectra(
        samples * np.float32(UNIT), fft=400, window=torch.hamming_window(400, dtype=torch.float64)
    )
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    slope = (np.linspace(0, 8000, 201)[:, None] - hertz[1:-1]) / (hertz[1:-1] - hertz[:-2])
    mel_RM = np.maximum(0, np.minimum(slope + 1, 1 - slope))
    decibel_TM = 10 * np.log10(np.maximum(power_TR @ mel_RM, 1e-10))
    decibel_TM = np.maximum(decibel_TM, decibel_TM.max() - 80)
    found: Float32Array = (decibel_TM - decibel_TM.mean(0)).astype(np.float32)
    return found


@pytest.mark.parametrize(
    ("name", "by_torch"), [("nemo", nemo_by_torch), ("speechbrain", speechbrain_by_torch)]
)
def test_a_preset_is_its_toolkits_recipe(name: str, by_torch: Any) -> None:
    """NeMo's and SpeechBrain's features are what torch makes of their recipes, to 1e-3."""
    samples, preset = recording(), PRESETS[name]
    features_TM = preset.normalized(Features(preset)(samples))
    expected_TM = by_torch(samples)
    assert features_TM.shape == expected_TM.shape
    np.testing.assert_allclose(features_TM, expected_TM, rtol=0, atol=1e-3)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_centred_frames_are_torchs(mode: str, periodic: bool) -> None:
    """Frames around multiples of the shift are those of torch.stft, mirrored ends too."""
    torch = pytest.importorskip("torch")
    samples = recording()[:5000]
    window = torch.hann_window(400, periodic=periodic, dtype=torch.float64)
    signal = torch.from_numpy(samples.astype(np.float64))
    found = torch.stft(
        signal, 512, 160, 400, window, center=True, pad_mode=mode, return_complex=True
    )
    mel_MR = librosas("htk")
    expected_TM = np.log(np.maximum((found.abs().numpy() ** 2).T @ mel_MR.T, 1.0))
    front_end = changed(
        "nemo",
        num_mel_bins=40,
        window_periodic=periodic,
        preemphasis=0.0,
        edges={"constant": "centre", "reflect": "centre-mirror"}[mode],
        mel_scale="htk",
        mel_norm="none",
        log_floor=1.0,
        log_floor_added=False,
        scale="int16",
    )
    np.testing.assert_allclose(Features(front_end)(samples), expected_TM, rtol=0, atol=1e-3)


@pytest.mark.parametrize("block", [37, 160, 5000, 100_000])
@pytest.mark.parametrize("name", PRESETS)
def test_blocks_give_the_same(name: str, block: int) -> None:
    """A waveform that comes in blocks has the features of one call, to the last bit."""
    front_end = PRESETS[name]
    rng = np.random.default_rng(block)
    samples = (rng.standard_normal(177_013) * 1000).astype(np.float32)
    features = Features(front_end)
    parts = [samples[start : start + block] for start in range(0, len(samples), block)]
    found_TM = np.concatenate(list(features.blocks(parts)))
    np.testing.assert_array_equal(found_TM, features(samples))


@pytest.mark.parametrize("edges", ["mirror", "centre", "centre-within", "centre-mirror"])
@pytest.mark.parametrize("num_samples", [160, 161, 399, 400, 401, 560, 799, 1000, 4000, 4079, 4080])
def test_frames_are_as_many_as_are_counted(edges: Edges, num_samples: int) -> None:
    """Of a waveform of any length come as many frames as are told."""
    config = FbankConfig(edges=edges, fft_size=512)
    front_end = replace(WESPEAKER, fbank=config)
    samples = np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)
    features = Features(front_end)
    if not config.num_frames(num_samples):
        assert not list(features.blocks([samples]))
        return
    assert len(features(samples)) == config.num_frames(num_samples)
    found_TM = np.concatenate(list(features.blocks([samples[:100], samples[100:]])))
    np.testing.assert_array_equal(found_TM, features(samples))


@pytest.mark.parametrize("name", PRESETS)
def test_a_front_end_survives_being_written(name: str) -> None:
    """What is written beside a model is read back the same; WeSpeaker's needs no text."""
    front_end = PRESETS[name]
    text = front_end_text(front_end)
    assert (text == "") is (name == "wespeaker")
    assert read_front_end(text, front_end.feat_dim) == front_end


def test_every_value_has_a_type() -> None:
    """Each value of a file is checked: none takes a list of lists."""
    names = {each.name for each in (*fields(FbankConfig), *fields(FrontEnd))} - {"fbank"}
    for name in names:
        with pytest.raises(ValueError, match=name):
            WESPEAKER.with_values({name: [["x"]]})
    with pytest.raises(ValueError, match="no 'windows'"):
        WESPEAKER.with_values({"windows": "povey"})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"scale": "float"}, "scale must be one of int16, unit"),
        ({"mel_scale": "slany"}, "mel_scale must be one of htk, slaney"),
        ({"edges": "center"}, "edges must be one of snip, mirror, centre"),
        ({"normalization": "global"}, "needs means"),
        ({"means": [0.0] * 80}, "needs means"),
        ({"normalization": "global", "means": [0.0] * 3}, "3 means for 80 features"),
        ({"layout": "BN"}, "layout BN is none of features"),
        ({"fft_size": 256}, "under a frame"),
        ({"high_freq_hz": -8000.0}, "low_freq_hz < high_freq_hz"),
        ({"log_floor": 0.0}, "log_floor must be over 0"),
    ],
)
def test_contradictions_are_refused(values: dict[str, Any], reason: str) -> None:
    """What cannot be computed is refused where it is written."""
    with pytest.raises(ValueError, match=reason):
        WESPEAKER.with_values(values)


def test_normalisation_is_over_the_chunk_or_the_utterance() -> None:
    """WeSpeaker's chunks have mean zero each; others have the utterance's mean taken off."""
    rng = np.random.default_rng(0)
    features_TM = (rng.standard_normal((396, 80)) + np.linspace(0, 9, 396)[:, None]).astype(
        np.float32
    )
    own = ChunkPolicy(32000).cut(features_TM)
    assert all(abs(chunk.features.mean()) < 1e-5 for chunk in own)
    together = ChunkPolicy(32000, PRESETS["3d-speaker"]).cut(features_TM)
    joined_TM = np.concatenate([chunk.features for chunk in together])
    np.testing.assert_allclose(joined_TM, features_TM - features_TM.mean(0), atol=1e-5)


def test_given_statistics_are_used() -> None:
    """Global means and deviations are those of the front end."""
    front_end = WESPEAKER.with_values(
        {"normalization": "global", "means": [2.0] * 80, "deviations": [4.0] * 80}
    )
    features_TM = np.full((10, 80), 10, np.float32)
    np.testing.assert_array_equal(front_end.normalized(features_TM), np.full((10, 80), 2))


def test_a_waveform_is_its_own_features() -> None:
    """A model that takes samples gets them, scaled, a frame each."""
    pyannote = PRESETS["pyannote"]
    samples = recording()
    (chunk,) = ChunkPolicy(-1, pyannote).cut(Features(pyannote)(samples))
    np.testing.assert_array_equal(chunk.features[:, 0], samples * np.float32(UNIT))
    assert ChunkPolicy(16000, pyannote).num_chunks(len(samples)) == 2
    assert natural_chunk_samples(48000, pyannote) == 48000


@pytest.mark.parametrize("name", PRESETS)
def test_natural_chunks_have_the_frames(name: str) -> None:
    """A chunk size is found for any number of frames, whatever the edges."""
    front_end = PRESETS[name]
    for frames in (100, 198, 200, 333):
        assert front_end.num_frames(natural_chunk_samples(frames, front_end)) == frames


@pytest.mark.parametrize("edges", get_args(Edges))
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_the_shortest_waveform_has_a_frame(edges: Edges, rate_hz: int) -> None:
    """What a recording is said to need gives a frame, and a sample less gives none."""
    config = FbankConfig(edges=edges, sample_rate_hz=rate_hz)
    assert config.num_frames(config.least_samples) >= 1
    assert config.num_frames(config.least_samples - 1) == 0


def test_silence_has_no_signal() -> None:
    """Digital silence and a constant leave nothing to hear; one click does."""
    policy = ChunkPolicy(-1)
    for level in (0, 999):
        constant = np.full(16000, level, np.float32)
        (chunk,) = policy.cut(Features(WESPEAKER)(constant))
        assert not chunk.has_signal
    samples = np.zeros(16000, np.float32)
    samples[8000] = 30
    (chunk,) = policy.cut(Features(WESPEAKER)(samples))
    assert chunk.has_signal


def test_recordings_are_read_at_the_models_rate(tmp_path: Any) -> None:
    """An 8 kHz recording is what an 8 kHz front end gets."""
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", recording(8000) * UNIT, 8000)
    front_end = changed("wespeaker", sample_rate_hz=8000)
    samples = read_audio(tmp_path / "a.wav", sample_rate_hz=front_end.sample_rate_hz).samples
    assert Features(front_end)(samples).shape == (198, 80)
