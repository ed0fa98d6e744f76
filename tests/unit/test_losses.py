"""What a candidate's scores lose: the interval is of speakers, and a tie loses nothing."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.embed.intervals import (
    LEAST_SPEAKERS_FOR_COST,
    Loss,
    Losses,
    losses,
    shifts,
    speakers,
)
from rtfbench.embed.trials import Trial
from tests.rates import eer, min_dcf

SPEAKERS, UTTERANCES = 30, 4


def made(
    seed: int = 0, speakers: int = SPEAKERS
) -> tuple[list[Trial], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return trials of every pair of utterances, and scores that err now and then."""
    rng = np.random.default_rng(seed)
    names = [(s, f"s{s}-{u}") for s in range(speakers) for u in range(UTTERANCES)]
    trials = [
        Trial(one, two, first == second)
        for index, (first, one) in enumerate(names)
        for second, two in names[index + 1 :]
    ]
    own = rng.normal(0, 0.1, speakers)
    numbers = dict(zip((name for _, name in names), (s for s, _ in names), strict=True))
    scores = [
        rng.normal(0.6 if trial.label else 0.0, 0.2) + own[numbers[trial.enroll]]
        for trial in trials
    ]
    return trials, np.array(scores)


def lost(trials: list[Trial], before: npt.ArrayLike, after: npt.ArrayLike, **how: Any) -> Losses:
    """Return the losses of trials that have speakers enough."""
    found = losses(trials, before, after, **how)
    assert found is not None
    return found


def test_few_speakers_have_no_interval() -> None:
    """Nine speakers resampled tell little of others: no interval, whatever the scores are."""
    trials, scores = made()

    def speaker(name: str) -> int:
        return int(name[1:].partition("-")[0])

    kept = [i for i, t in enumerate(trials) if max(speaker(t.enroll), speaker(t.test)) < 9]
    some = [trials[index] for index in kept]
    assert losses(some, scores[kept], scores[kept] + 1) is None


def test_costs_take_more_speakers() -> None:
    """Under forty a loss of EER has an interval, and one of minDCF none."""
    trials, scores = made()
    found = lost(trials, scores, scores)
    assert found.min_dcf is None
    assert found.eer == Loss(0.0, 0.0, 0.0)


def test_target_trials_tell_the_speakers() -> None:
    """Utterances that target trials join are of one speaker; one in none is its own."""
    trials = [
        Trial("a", "b", True),
        Trial("c", "b", True),
        Trial("d", "e", True),
        Trial("a", "x", False),
        Trial("e", "c", False),
    ]
    told = speakers(trials)
    numbers = np.stack(list(told.sides()), axis=1).ravel().tolist()
    found = dict(zip((name for trial in trials for name in trial[:2]), numbers, strict=True))
    assert found["a"] == found["b"] == found["c"]
    assert found["d"] == found["e"]
    assert len({found["a"], found["d"], found["x"]}) == 3


def test_equal_scores_lose_nothing() -> None:
    """The same scores, or the same in another unit, have a loss and an interval of zero."""
    trials, scores = made()
    nothing = (Loss(0.0, 0.0, 0.0), None)
    assert lost(trials, scores, scores) == nothing
    assert lost(trials, scores, 3 * scores + 1) == nothing


def test_the_loss_is_the_difference_of_both_rates() -> None:
    """It is that of EER and minDCF as they are reported elsewhere, and its interval holds it."""
    trials, scores = made(speakers=LEAST_SPEAKERS_FOR_COST)
    worse = scores + np.random.default_rng(1).normal(0, 0.2, len(scores))
    labels = [bool(trial.label) for trial in trials]
    for rate, found in zip((eer, min_dcf), lost(trials, scores, worse), strict=True):
        expected = rate(worse.tolist(), labels) - rate(scores.tolist(), labels)
        assert found is not None
        assert found.loss == pytest.approx(expected)
        assert 0 < found.low < found.high
        assert found.low < found.loss < found.high


def test_pairing_makes_the_interval_narrow() -> None:
    """A little noise on every score is told to cost little, however hard the speakers are."""
    trials, scores = made()
    close = scores + np.random.default_rng(1).normal(0, 0.005, len(scores))
    other = made(seed=5)[1]
    near, far = lost(trials, scores, close), lost(trials, scores, other)
    assert near.eer.high - near.eer.low < 0.2 * (far.eer.high - far.eer.low)


def test_the_interval_holds_as_often_as_it_says() -> None:
    """Of candidates that are as good as the reference, 95 % have an interval that holds zero."""
    held = 0
    for seed in range(40):
        trials, scores = made(seed)
        rng = np.random.default_rng(seed + 1000)
        noise = rng.normal(0, 0.08, (2, len(scores)))
        # A fifth of the draws: they make the ends of the interval rougher, not wider.
        found = lost(trials, scores + noise[0], scores + noise[1], resamples=200).eer
        held += found.low <= 0 <= found.high
    assert held >= 34  # under 34 of 40 has a chance of a thousandth where 95 % hold


def test_shifts_are_of_each_kind() -> None:
    """What is added to every target trial is told of these alone, and surely; noise is not."""
    trials, scores = made()
    target = np.array([bool(trial.label) for trial in trials])
    found = shifts(trials, scores, scores + np.where(target, 0.1, -0.05))
    np.testing.assert_allclose([*found.target, *found.nontarget], [0.1] * 3 + [-0.05] * 3)
    noise = np.random.default_rng(1).normal(0, 0.1, len(trials))
    for each in shifts(trials, scores, scores + noise):
        assert each.low < 0 < each.high
    few, values = made(speakers=5)
    alone = shifts(few, values, values + 1).target
    assert alone.low == alone.loss == alone.high
