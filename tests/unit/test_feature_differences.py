"""The doctor of front ends: names the step that was changed, and raises no alarm without one."""

import re
from typing import Any

import numpy as np
import pytest

from rtfbench.base.packages import ROOT
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.feature_differences import STEPS, Doctor
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.front_end import PRESETS, WESPEAKER, Features, FrontEnd
from tests.unit.test_front_end import by_kaldi
from tests.validation.tried_front_ends import SECTION

SPEECH = DEFAULT_SPEECH / "digits_en_gb.flac"


def speech() -> Any:
    """Return two seconds of speech, with a pause of digital silence in it."""
    samples = read_audio(SPEECH).samples[16000:48000].copy()
    samples[12000:14000] = 0
    return samples


def features(front_end: FrontEnd, samples: Any) -> Any:
    """Return features as a model gets them, of the whole recording."""
    return front_end.normalized(Features(front_end)(samples))


ALONE: dict[str, dict[str, Any]] = {
    "scale": {"scale": "unit"},
    "window": {"window": "povey"},
    "normalisation": {"normalization": "none"},
    "lowest frequency": {"low_freq_hz": 40.0},
    "highest frequency": {"high_freq_hz": 7600.0},
    "edges": {"edges": "mirror"},
    "pre-emphasis": {"preemphasis": 0.95},
    "log floor": {"log_floor": 1.0},
    "bins": {"num_mel_bins": 64},
    "frame shift": {"frame_shift_ms": 12.5},
}


@pytest.mark.parametrize("step", ALONE)
def test_a_step_is_named(step: str) -> None:
    """One step is changed, and that one is named, with the value that it was changed to."""
    samples = speech()
    theirs_TM = features(WESPEAKER.with_values(ALONE[step]), samples)
    found = Doctor(WESPEAKER, samples, theirs_TM).diagnose()
    assert found.explained
    (difference,) = found.differences
    assert difference.step == step
    for name, value in ALONE[step].items():
        assert difference.theirs[name] == pytest.approx(value, abs=5)


def test_dither_is_named() -> None:
    """Noise that was added to the samples is told from all that can be computed again."""
    samples = speech()
    noise = np.random.default_rng(7).standard_normal(len(samples)).astype(np.float32)
    found = Doctor(WESPEAKER, samples, features(WESPEAKER, samples + noise)).diagnose()
    assert [each.step for each in found.differences] == ["dither"]


@pytest.mark.parametrize("level", [0.4, 1.52])
def test_dither_of_any_level_is_all_that_is_named(level: float) -> None:
    """No other step makes up for a level that is not among those that are tried."""
    samples = speech()
    noise = np.random.default_rng(3).standard_normal(len(samples)).astype(np.float32)
    theirs_TM = features(WESPEAKER, samples + np.float32(level) * noise)
    (found,) = Doctor(WESPEAKER, samples, theirs_TM).diagnose().differences
    assert found.step == "dither"
    assert found.theirs["dither"] == pytest.approx(level, rel=0.4)


@pytest.mark.parametrize(
    "planted",
    [
        {"scale": {"scale": "unit"}, "normalisation": {"normalization": "none"}},
        {"power": {"spectrum": "magnitude"}, "log floor": {"log_floor": 1e-3}},
        {"scale": {"scale": "unit"}, "log floor": {"log_floor": 1e-6, "log_floor_added": True}},
        {"bins": {"num_mel_bins": 81}, "DC removal": {"remove_dc": False}},
        {"energy": {"energy_floor": 0.0}, "DC removal": {"remove_dc": False}},
    ],
)
def test_steps_that_hide_each_other_are_named(planted: dict[str, dict[str, Any]]) -> None:
    """Of which one alone makes nothing better, or which make as many features."""
    samples = speech()
    samples[:12000] += 40
    values = {name: value for fields in planted.values() for name, value in fields.items()}
    theirs_TM = features(WESPEAKER.with_values(values), samples)
    found = Doctor(WESPEAKER, samples, theirs_TM).diagnose()
    assert {each.step for each in found.differences} == planted.keys()


def test_a_step_is_named_though_it_moves_little() -> None:
    """Features that agree up to rounding, and that one step explains better, are not ours."""
    samples = speech()
    theirs_TM = features(WESPEAKER.with_values({"mel_sides": "hertz"}), samples)
    assert np.median(np.abs(theirs_TM - features(WESPEAKER, samples))) < 0.01
    (found,) = Doctor(WESPEAKER, samples, theirs_TM).diagnose().differences
    assert found.step == "mel scale"


def test_two_steps_are_named() -> None:
    """Two steps that hide each other are both found."""
    samples = speech()
    changed = WESPEAKER.with_values({"window": "povey", "num_mel_bins": 40, "scale": "unit"})
    found = Doctor(WESPEAKER, samples, features(changed, samples)).diagnose()
    assert {each.step for each in found.differences} == {"window", "bins", "scale"}


@pytest.mark.parametrize("name", ["wespeaker", "3d-speaker", "sherpa-onnx"])
def test_other_libraries_raise_no_alarm(name: str) -> None:
    """kaldi-native-fbank's features, in float16 or written with four digits, are right ones."""
    front_end, samples = PRESETS[name], speech()
    right_TM = front_end.normalized(by_kaldi(samples, front_end))
    for theirs_TM in (right_TM, right_TM.astype(np.float16), np.round(right_TM, 2)):
        found = Doctor(front_end, samples, theirs_TM.astype(np.float32)).diagnose()
        assert (found.differences, found.explained) == ((), True)


@pytest.mark.parametrize("scale", ["unit", "int16"])
def test_large_values_are_rounded_more(scale: str) -> None:
    """Decibels of the size of a hundred, in float16, are no other features."""
    front_end = PRESETS["speechbrain"].with_values({"normalization": "none", "scale": scale})
    theirs_TM = features(front_end, speech()).astype(np.float16).astype(np.float32)
    found = Doctor(front_end, speech(), theirs_TM).diagnose()
    assert (found.differences, found.explained) == ((), True)


def test_the_page_says_what_the_trial_found() -> None:
    """Of steps alone, of pairs, and of right features that raised an alarm."""
    report = (ROOT / "reports" / "validation.md").read_text("utf-8")
    _, _, section = report.partition(f"## {SECTION}\n")
    alone, pairs, quiet = re.findall(r"(\d+) of (\d+):", section)
    page = (ROOT / "docs" / "front-ends.md").read_text("utf-8")
    assert f"Of {alone[1]} steps planted alone {alone[0]} were named" in page
    assert f"of {pairs[1]} pairs {pairs[0]}" in page
    alarms = int(quiet[1]) - int(quiet[0])
    assert f"{alarms or 'None'} of {quiet[1]} right features" in page


def test_what_is_not_known_is_not_explained_away() -> None:
    """Features of another recording are called different, and no step is said to explain that."""
    samples = speech()
    other = read_audio(DEFAULT_SPEECH / "digits_en_gb.flac").samples[:32000]
    found = Doctor(WESPEAKER, samples, features(WESPEAKER, other)).diagnose()
    assert not found.explained


def test_every_step_can_be_made() -> None:
    """What is tried is what a front end takes."""
    for choices in STEPS.values():
        for fields in choices:
            WESPEAKER.with_values({k: v for k, v in fields.items() if k != "dither"})
