"""What a candidate's scores lose against a reference's on the same trials: EER and minDCF.

Both are scored on the same resampled speakers, so that what makes trials hard falls out of the
difference. Bootstrap over speakers: Bisani and Ney, "Bootstrap estimates for confidence intervals
in ASR performance evaluation", ICASSP 2004, with speakers in the place of sentences.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.embed.scoring import crossing, least_cost
from bench.embed.trials import Trial

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
LEVELS = (0.025, 0.975)
_SEED = 0


class Loss(NamedTuple):
    """How much higher a figure of the candidate is, with its 95 % interval."""

    loss: float
    low: float
    high: float


class Losses(NamedTuple):
    """Of the EER, as a share (0.001 for 0.1 points), and of the normalised minDCF."""

    eer: Loss
    min_dcf: Loss


def speakers(trials: Sequence[Trial]) -> list[int]:
    """Return a number for the speaker of each trial's two utterances, enroll and test in turn.

    Target trials say which utterances are of one speaker; an utterance in none is one of its own.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for trial in trials:
        if trial.label:
            parent[root(trial.enroll)] = root(trial.test)
    numbers: dict[str, int] = {}
    return [
        numbers.setdefault(root(name), len(numbers))
        for trial in trials
        for name in (trial.enroll, trial.test)
    ]


def losses(trials: Sequence[Trial], reference: npt.ArrayLike, candidate: npt.ArrayLike) -> Losses:
    """Compare two systems' scores of the same labelled trials.

    A trial counts as often as its speakers are drawn: once for a target trial's, the product of
    both for a nontarget trial's.
    """
    labels = np.array([bool(trial.label) for trial in trials])
    of_trials = np.array(speakers(trials)).reshape(-1, 2)
    before, after = (_Rates(np.asarray(each, float), labels) for each in (reference, candidate))

    def difference(weights: Floats) -> Floats:
        return after.figures(weights) - before.figures(weights)

    rng = np.random.default_rng(_SEED)
    count = int(of_trials.max()) + 1
    differences = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count).astype(float)
        weights = np.where(
            labels, drawn[of_trials[:, 0]], drawn[of_trials[:, 0]] * drawn[of_trials[:, 1]]
        )
        if weights[labels].any() and weights[~labels].any():
            differences.append(difference(weights))
    found = np.stack([difference(np.ones(len(trials))), *np.quantile(differences, LEVELS, axis=0)])
    return Losses(*(Loss(*column.tolist()) for column in found.T))


class _Rates:
    """One system's scores in order, for error rates of many weightings."""

    def __init__(self, scores: Floats, labels: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(scores, kind="stable")
        self._target = labels[self._order]

    def figures(self, weights: Floats) -> Floats:
        """Return EER and minDCF of weighted trials, [2]."""
        ordered = weights[self._order]
        missed = np.concatenate([[0], np.cumsum(ordered * self._target)])
        passed = np.concatenate([[0], np.cumsum(ordered * ~self._target)])
        miss, false_alarm = missed / missed[-1], 1 - passed / passed[-1]
        return np.array([crossing(miss, false_alarm), least_cost(miss, false_alarm)])
