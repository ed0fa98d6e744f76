"""Scores as the field computes them, held against the same written out a trial at a time."""

import itertools

import numpy as np
import pytest

from rtfbench.embed.backend import Cohort, enroll, mean_of, score, units
from rtfbench.embed.intervals import LEAST_SPEAKERS, intervals
from rtfbench.embed.scoring import Detection, cosine
from rtfbench.embed.trials import Trial
from rtfbench.engines.protocol import FloatArray
from tests.rates import eer, min_dcf

RNG = np.random.default_rng(7)
DIM, SPEAKERS = 24, 40


def made(prefix: str) -> dict[str, FloatArray]:
    """Return three utterances of each speaker, off the origin as embeddings are."""
    found = {}
    for speaker in range(SPEAKERS):
        own = RNG.normal(0, 1, DIM)
        for utterance in range(3):
            values = own + RNG.normal(0, 0.9, DIM) + 0.5
            found[f"{prefix}{speaker}-{utterance}"] = values.astype(np.float32)
    return found


EVALUATED, COHORT = made("e"), made("c")
TRIALS = [
    Trial(a, b, a.split("-")[0] == b.split("-")[0])
    for a, b in itertools.combinations(list(EVALUATED), 2)
]
LABELS = [bool(trial.label) for trial in TRIALS]


def one(first_D: FloatArray, second_D: FloatArray, cohort_KD: FloatArray, top_n: int) -> float:
    """Return one trial's adaptively normalised score: each side by its own most alike."""
    raw = cosine(first_D, second_D)
    total = 0.0
    for side_D in (first_D, second_D):
        best = sorted((cosine(side_D, each_D) for each_D in cohort_KD), reverse=True)[:top_n]
        total += (raw - float(np.mean(best))) / float(np.std(best))
    return total / 2


@pytest.mark.parametrize("top_n", [None, 10])
def test_normalised_scores_are_those_of_one_trial_at_a_time(top_n: int | None) -> None:
    """With mean subtraction, speakers of a cohort, S-norm and adaptive S-norm."""
    mean_D = mean_of(COHORT)
    speakers = {f"s{i}": [f"c{i}-{u}" for u in range(3)] for i in range(SPEAKERS)}
    members = list(enroll(COHORT, speakers).values())
    found = score(
        TRIALS[::50],
        EVALUATED,
        EVALUATED,
        mean_D=mean_D,
        cohort=Cohort(units(members, mean_D), top_n),
    )
    centred = {name: (value - mean_D).astype(np.float32) for name, value in EVALUATED.items()}
    cohort_KD = np.array([value - mean_D for value in members], np.float32)
    for trial, got in zip(TRIALS[::50], found, strict=True):
        sides = centred[trial.enroll], centred[trial.test]
        assert got == pytest.approx(one(*sides, cohort_KD, top_n or SPEAKERS), abs=1e-5)


def test_without_anything_it_is_the_cosine() -> None:
    """And a missing embedding on either side leaves that trial alone without a score."""
    trials = [*TRIALS[:5], Trial("e0-0", "nobody", None), Trial("nobody", "e0-0", None)]
    found = score(trials, EVALUATED, EVALUATED)
    want = [cosine(EVALUATED[a], EVALUATED[b]) for a, b, _ in trials[:5]]
    assert found[:5] == pytest.approx(want)
    assert np.isnan(found[5:]).all()


def test_nothing_has_no_directions() -> None:
    """Where no name of the trials has an embedding, that is told of each, and not a fault here."""
    assert units([]).shape == (0, 0)
    assert units([], np.ones(3)).shape == (0, 3)


def test_enrolment_is_the_mean_of_what_is_there() -> None:
    """A speaker without any embedding is left out."""
    found = enroll(EVALUATED, {"a": ["e0-0", "e0-1", "none"], "b": ["none"]})
    assert found.keys() == {"a"}
    np.testing.assert_allclose(
        found["a"], (EVALUATED["e0-0"] + EVALUATED["e0-1"]) / 2, rtol=1e-6, atol=1e-6
    )


def shifted(embeddings: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return embeddings of which every second speaker's are drawn to one direction."""
    return {
        name: value + np.float32(1.5 * (int(name[1:].split("-")[0]) % 2))
        for name, value in embeddings.items()
    }


def test_normalisation_helps_where_channels_shift_scores() -> None:
    """Utterances drawn to one direction are like many others: an adaptive cohort takes it away."""
    evaluated = shifted(EVALUATED)
    cohort = Cohort(units(list(shifted(COHORT).values())), 20)
    plain, normalised = (
        [value for value in score(TRIALS, evaluated, evaluated, cohort=each) if value is not None]
        for each in (None, cohort)
    )
    assert eer(normalised, LABELS) < eer(plain, LABELS)


@pytest.mark.parametrize("most", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("decimals", [2, 9])
def test_the_threshold_is_the_lowest_that_keeps_the_rate(most: float, decimals: int) -> None:
    """At most so many false alarms; at the next lower score there are more."""
    scores = np.round([value or 0.0 for value in score(TRIALS, EVALUATED, EVALUATED)], decimals)
    labels = np.array(LABELS)
    found = Detection(scores, labels).at_false_alarm(most)
    assert found.false_alarm == np.mean(scores[~labels] >= found.threshold) <= most
    assert found.miss == np.mean(scores[labels] < found.threshold)
    lower = scores[~labels & (scores < found.threshold)].max()
    assert np.mean(scores[~labels] >= lower) > most


def test_too_few_trials_tell_no_rate() -> None:
    """A rate below one false alarm of all is refused."""
    with pytest.raises(ValueError, match="takes 1000 nontarget trials; there are 3"):
        Detection([1, 2, 3, 4], [True, False, False, False]).at_false_alarm(0.001)


def test_intervals_hold_what_other_speakers_give() -> None:
    """Of many draws of speakers, their EER and minDCF are in the interval about as often as told.

    The draws are seeded; of forty populations at 95 %, fewer than 33 would be a chance of 1e-3.
    """
    rng = np.random.default_rng(3)
    names = [(s, f"{s}-{u}") for s in range(25) for u in range(4)]
    trials = [Trial(a, b, x == y) for (x, a), (y, b) in itertools.combinations(names, 2)]
    place = {name: i for i, (_, name) in enumerate(names)}
    ends = np.array([[place[a], place[b]] for a, b, _ in trials])
    labels = np.array([trial.label for trial in trials])

    def drawn() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        own = rng.normal(0, 0.6, len(names) // 4)[np.array([s for s, _ in names])]
        scores: np.ndarray[tuple[int], np.dtype[np.float64]] = (
            labels * 1.8 + own[ends].sum(axis=1) * 0.5 + rng.normal(0, 0.7, len(trials))
        )
        return scores

    truth = np.mean([eer(drawn().tolist(), labels.tolist()) for _ in range(100)])
    hits = 0
    for _ in range(40):
        scores = drawn().tolist()
        found = intervals(trials, scores, p_target=0.01, resamples=100)
        assert found is not None
        assert found.speakers == 25
        assert found.eer[0] <= eer(scores, labels.tolist()) <= found.eer[1]
        hits += bool(found.eer[0] <= truth <= found.eer[1])
    assert hits >= 33


def test_intervals_at_a_threshold() -> None:
    """They hold the rates that were found, and minDCF is that of the prior asked for."""
    scores = [value or 0.0 for value in score(TRIALS, EVALUATED, EVALUATED)]
    point = Detection(scores, LABELS).at_false_alarm(0.02)
    found = intervals(TRIALS, scores, p_target=0.05, point=point, resamples=200)
    assert found is not None
    assert found.miss is not None
    assert found.false_alarm is not None
    assert found.miss[0] < point.miss < found.miss[1]
    assert found.false_alarm[0] < point.false_alarm < found.false_alarm[1]
    assert found.min_dcf is not None
    assert found.min_dcf[0] < min_dcf(scores, LABELS, p_target=0.05) < found.min_dcf[1]


def test_a_few_speakers_tell_no_interval() -> None:
    """Below ten there is none."""
    few = [t for t in TRIALS if all(int(n[1:].split("-")[0]) < LEAST_SPEAKERS - 1 for n in t[:2])]
    scores = [value or 0.0 for value in score(few, EVALUATED, EVALUATED)]
    assert intervals(few, scores, p_target=0.01) is None
