"""What `score` says of several files of embeddings."""

import re

import numpy as np

from rtfbench.embed.trials import Trial, Trials
from rtfbench.extract.score_report import ScoreOptions, System, verdict

SPEAKERS, EACH = 24, 4


def test_only_trials_that_both_have_are_compared() -> None:
    """Two files that each lack other recordings differ by what they say of the same trials."""
    names = [f"s{speaker}-{take}" for speaker in range(SPEAKERS) for take in range(EACH)]
    trials = Trials.of(
        Trial(a, b, a.split("-")[0] == b.split("-")[0])
        for place, a in enumerate(names)
        for b in names[:place]
    )
    rng = np.random.default_rng(1)
    true = np.where(trials.labels_N == 1, 0.5, 0.0) + rng.normal(0, 0.25, len(trials.labels_N))
    lacking = []
    for seed, gone in ((2, names[1]), (3, names[-1])):
        scores = true + np.random.default_rng(seed).normal(0, 0.01, len(true))
        place = trials.names.index(gone)
        scores[(trials.enroll_N == place) | (trials.test_N == place)] = np.nan
        lacking.append(System(f"without {gone}", scores))
    _, told, *_ = (each for each in verdict(trials, lacking, ScoreOptions(resamples=200))
                   if "minDCF 0" in each)  # fmt: skip
    both = len(true) - 2 * (len(names) - 1) + 1
    assert f"on the {both} trials that both have" in told
    found = re.search(r"EER ([+-][\d.]+) points .*\(95 %: ([+-][\d.]+) to ([+-][\d.]+)\)", told)
    assert found is not None, told
    point, low, high = map(float, found.groups())
    assert low <= point <= high
    assert abs(low) < 2
    assert abs(high) < 2
