"""Trials and scores: what holds for any of them."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rtfbench.embed.scoring import P_TARGET, Detection, cosine
from rtfbench.embed.trials import Trial, read_spk2utt, read_trials
from tests.rates import eer, min_dcf
from tests.unit.properties import written

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=9)
VALUES = st.floats(-(2.0**40), 2.0**40, width=32)
VECTORS = arrays.arrays(np.float32, 6, elements=VALUES)
Scored = list[tuple[float, bool]]
#: Scores with labels, of either kind one at least; few values, so that some are equal.
SCORED: st.SearchStrategy[Scored] = st.lists(
    st.tuples(st.integers(-8, 8).map(lambda eighths: eighths / 8), st.booleans()),
    min_size=2,
    max_size=40,
).filter(lambda pairs: len({label for _, label in pairs}) == 2)


def rates_of(pairs: Scored) -> tuple[float, float]:
    """Return EER and minDCF."""
    scores, labels = [score for score, _ in pairs], [label for _, label in pairs]
    return eer(scores, labels), min_dcf(scores, labels, p_target=P_TARGET)


@given(trials=st.lists(st.tuples(WORDS, WORDS, st.none() | st.booleans()), min_size=1, max_size=9))
def test_trials_come_back(trials: list[tuple[str, str, bool | None]]) -> None:
    """Names and labels in Kaldi's form; a first line that VoxCeleb could have written is its."""
    words = {True: " target", False: " nontarget", None: ""}
    text = "".join(f"{one} {other}{words[label]}\n" for one, other, label in trials)
    assert read_trials(written("\ufeff" + text)) == [Trial(*each) for each in trials]


@given(trials=st.lists(st.tuples(WORDS, WORDS, st.booleans()), min_size=1, max_size=9))
def test_trials_of_voxceleb_come_back(trials: list[tuple[str, str, bool]]) -> None:
    """The label stands first, and no name is taken for one."""
    trials = [(one, f"id{other}.wav", label) for one, other, label in trials]
    text = "".join(f"{int(label)} {one} {other}\r\n" for one, other, label in trials)
    assert read_trials(written(text), labels=True) == [Trial(*each) for each in trials]


@given(speakers=st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=4), min_size=1))
def test_speakers_come_back(speakers: dict[str, list[str]]) -> None:
    """With their utterances, in their order."""
    text = "".join(f"{name}\t{' '.join(names)}\n" for name, names in speakers.items())
    assert read_spk2utt(written(text)) == speakers


@given(one_D=VECTORS, other_D=VECTORS)
def test_a_score_is_an_angle(one_D: Any, other_D: Any) -> None:
    """Between -1 and 1, the same from either side, and no matter of loudness."""
    score = cosine(one_D, other_D)
    assert abs(score) <= 1 + 1e-9
    assert cosine(other_D, one_D) == score
    if one_D.any() and other_D.any():
        np.testing.assert_allclose(cosine(np.float32(2) * one_D, other_D), score, atol=1e-6)
        np.testing.assert_allclose(cosine(one_D, -other_D), -score, atol=1e-9)
        np.testing.assert_allclose(cosine(one_D, one_D), 1, atol=1e-9)


@given(pairs=SCORED, scale=st.integers(1, 64), shift=st.integers(-64, 64))
def test_error_rates_depend_on_the_order_alone(pairs: Scored, scale: int, shift: int) -> None:
    """Not on where scores lie, nor in which order trials come; never are they beyond 0 and 1."""
    rates = rates_of(pairs)
    assert all(0 <= rate <= 1 for rate in rates)
    moved = [(scale * score + shift, label) for score, label in pairs]
    np.testing.assert_allclose(rates_of(moved), rates)
    np.testing.assert_allclose(rates_of(pairs[::-1]), rates)


@given(pairs=SCORED)
def test_perfect_scores_make_no_errors(pairs: Scored) -> None:
    """Where every target lies over all others; the other way round, all are errors."""
    lifted = [(score + 10 * label, label) for score, label in pairs]
    assert rates_of(lifted) == (0, 0)
    upside_down = [(-score, label) for score, label in lifted]
    np.testing.assert_allclose(rates_of(upside_down), (1, 1))


@given(pairs=SCORED, threshold=st.integers(-9, 9).map(lambda eighths: eighths / 8))
def test_rates_of_a_threshold_are_counts(pairs: Scored, threshold: float) -> None:
    """Shares of the trials on the wrong side of it, which the curve has too."""
    scores, targets = (np.array(values) for values in zip(*pairs, strict=True))
    detection = Detection(scores, targets)
    point = detection.at(threshold)
    miss = np.mean(scores[targets] < threshold)
    false_alarm = np.mean(scores[~targets] >= threshold)
    np.testing.assert_allclose((point.miss, point.false_alarm), (miss, false_alarm), atol=1e-12)
    curve = np.stack(detection.rates(), axis=1)
    assert np.isclose(curve, (miss, false_alarm)).all(axis=1).any()
