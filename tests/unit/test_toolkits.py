"""Front ends by the toolkits' own code, where a toolkit is installed; it is no dependency.

What a toolkit is not installed for, `test_front_end.py` holds against independent libraries.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.frontends.front_end import PRESETS, UNIT, Features
from tests.unit.test_front_end import recording

Array = npt.NDArray[Any]


def ours(name: str, samples: Array) -> Array:
    """Compute features with a preset."""
    preset = PRESETS[name]
    return preset.normalized(Features(preset)(samples))


def toolkit(name: str) -> Any:
    """Return a toolkit's module, or skip the test; what its import warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name.partition('.')[0]} is not installed")


@pytest.mark.parametrize(
    ("name", "window", "bins"),
    [("wespeaker", "hamming", 80), ("3d-speaker", "povey", 80), ("kaldi", "povey", 23)],
)
def test_torchaudio(name: str, window: str, bins: int) -> None:
    """WeSpeaker and 3D-Speaker call torchaudio's Kaldi features, and take the mean off."""
    kaldi = toolkit("torchaudio.compliance.kaldi")
    torch = pytest.importorskip("torch")
    samples = recording()
    scale = UNIT if PRESETS[name].scale == "unit" else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features_TM = kaldi.fbank(
            torch.from_numpy(samples * np.float32(scale))[None],
            num_mel_bins=bins,
            window_type=window,
            sample_frequency=16000,
        ).numpy()
    if PRESETS[name].normalization == "mean":
        features_TM = features_TM - features_TM.mean(axis=0)
    np.testing.assert_allclose(ours(name, samples), features_TM, rtol=0, atol=1e-3)


def test_speechbrain() -> None:
    """The preset is SpeechBrain's Fbank, normalised a sentence at a time."""
    lobes = toolkit("speechbrain.lobes.features")
    processing = toolkit("speechbrain.processing.features")
    torch = pytest.importorskip("torch")
    samples = recording()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        features_BTM = lobes.Fbank(n_mels=80)(torch.from_numpy(samples * np.float32(UNIT))[None])
        normalize = processing.InputNormalization(norm_type="sentence", std_norm=False)
        features_TM = normalize(features_BTM, torch.ones(1))[0].numpy()
    np.testing.assert_allclose(ours("speechbrain", samples), features_TM, rtol=0, atol=1e-3)


def test_nemo() -> None:
    """The preset is NeMo's preprocessor as speaker models configure it."""
    modules = toolkit("nemo.collections.asr.modules")
    torch = pytest.importorskip("torch")
    samples = recording()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        preprocessor = modules.AudioToMelSpectrogramPreprocessor(
            normalize="per_feature", window_size=0.025, window_stride=0.01, window="hann",
            features=80, n_fft=512, frame_splicing=1, dither=0.0, pad_to=1,
        ).eval()  # fmt: skip
        signal = torch.from_numpy(samples * np.float32(UNIT))[None]
        features_BMT, lengths = preprocessor(
            input_signal=signal, length=torch.tensor([len(samples)])
        )
    features_TM = features_BMT[0].numpy().T[: int(lengths[0])]
    np.testing.assert_allclose(ours("nemo", samples), features_TM, rtol=0, atol=1e-3)
