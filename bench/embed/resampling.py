"""Trials of resampled speakers, for intervals of what their scores amount to.

Bootstrap over speakers: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR
performance evaluation", ICASSP 2004, with speakers in the place of sentences.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bench.embed.trials import Trial

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
LEVELS = (0.025, 0.975)
_SEED = 0


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


def weightings(trials: Sequence[Trial], resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Yield weights [N] of labelled trials, one set for each draw of speakers with replacement.

    A trial counts as often as its speakers are drawn: once for a target trial's, the product of
    both for a nontarget trial's. A draw without trials of both kinds is left out.
    """
    labels = np.array([bool(trial.label) for trial in trials])
    first, second = np.array(speakers(trials)).reshape(-1, 2).T
    count = int(max(first.max(), second.max())) + 1
    rng = np.random.default_rng(_SEED)
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count).astype(float)
        weights: Floats = drawn[first] * np.where(labels, 1.0, drawn[second])
        if weights[labels].any() and weights[~labels].any():
            yield weights
