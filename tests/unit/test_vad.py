"""Voice activity by energy, against a plain reading of Kaldi's definition."""

import math

import numpy as np
import pytest

from rtfbench.frontends import vad
from rtfbench.frontends.fbank import Fbank, FbankConfig
from rtfbench.frontends.vad import EnergyVad, VadError

CONFIG = FbankConfig()


def speech_and_silence(seed: int, samples: int = 40_000) -> np.ndarray:
    """Return noise whose level changes every 100 ms, in int16 scale."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(10 ** rng.uniform(-1, 3.5, samples // 1600 + 1), 1600)[:samples]
    return (rng.standard_normal(samples) * levels + 7).astype(np.float32)


def by_definition(
    samples: np.ndarray, threshold: float, mean_scale: float, context: int, proportion: float
) -> list[bool]:
    """Decide frame by frame, in plain Python as the definition reads."""
    energies = []
    for first in range(0, len(samples) - 400 + 1, 160):
        frame = [float(value) for value in samples[first : first + 400]]
        mean = math.fsum(frame) / 400
        energies.append(math.log(max(math.fsum((v - mean) ** 2 for v in frame), 1.1920929e-7)))
    level = threshold + mean_scale * sum(energies) / len(energies)
    found = []
    for t in range(len(energies)):
        near = energies[max(t - context, 0) : t + context + 1]
        found.append(sum(e > level for e in near) >= len(near) * proportion)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("settings", [(5.0, 0.5, 0, 0.6), (2.0, 0.7, 2, 0.6), (9.0, 0.0, 5, 0.12)])
def test_it_is_the_definition(seed: int, settings: tuple[float, float, int, float]) -> None:
    """In blocks of any length, every frame is decided as the definition decides it."""
    samples = speech_and_silence(seed)
    expected = by_definition(samples, *settings)
    assert 0 < sum(expected) < len(expected)
    for length in (len(samples), 1000, 333, 159):
        blocks = [samples[i : i + length] for i in range(0, len(samples), length)]
        assert EnergyVad(*settings).voiced(blocks, CONFIG).tolist() == expected


def test_there_is_a_decision_a_frame() -> None:
    """As many as features, for lengths around the edges of a frame; none for too little."""
    fbank = Fbank(CONFIG)
    for count in (399, 400, 559, 560, 561, 16_000):
        samples = speech_and_silence(1, count)
        voiced_T = EnergyVad().voiced([samples], CONFIG)
        assert len(voiced_T) == CONFIG.num_frames(count)
        if len(voiced_T):
            assert len(voiced_T) == len(fbank(samples))


def test_selected_frames_are_those_of_the_whole() -> None:
    """Which block a frame comes in changes nothing."""
    features_TM = np.arange(40, dtype=np.float32).reshape(20, 2)
    voiced_T = np.arange(20) % 3 == 0
    blocks = [features_TM[:7], features_TM[7:8], features_TM[8:]]
    assert np.array_equal(np.concatenate([*vad.select(blocks, voiced_T)]), features_TM[voiced_T])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("energi", "no voice activity detector 'energi'; there is: energy"),
        ("energy[loud=3]", "loud"),
        ("energy[threshold=high]", "could not convert"),
        ("energy[proportion=1.5]", "0 < proportion < 1"),
        ("energy[threshold]", r"write name\[key=value"),
        ("energy[", "no voice activity detector"),
    ],
)
def test_what_cannot_be_used_is_one_line(text: str, message: str) -> None:
    """Names and settings are refused with what would do."""
    with pytest.raises(VadError, match=message) as caught:
        vad.get(text)
    assert "\n" not in str(caught.value)
