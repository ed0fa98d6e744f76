"""Intervals of what scores amount to, by resampled speakers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.embed.resampling import LEVELS, RESAMPLES, speakers, weightings
from bench.embed.scoring import Detection, OperatingPoint, crossing, least_cost
from bench.embed.trials import Trial

#: Resampled, fewer speakers tell nothing of others.
LEAST_SPEAKERS = 10

Interval = tuple[float, float]


class Intervals(NamedTuple):
    """95 % intervals as shares; `miss` and `false_alarm` are those of one threshold."""

    speakers: int
    eer: Interval
    min_dcf: Interval
    miss: Interval | None = None
    false_alarm: Interval | None = None


def intervals(
    trials: Sequence[Trial],
    scores: Sequence[float],
    *,
    p_target: float,
    point: OperatingPoint | None = None,
    resamples: int = RESAMPLES,
) -> Intervals | None:
    """Return how far EER, minDCF and a threshold's rates may lie with other speakers.

    Args:
        trials: labelled ones of both kinds.
        scores: one a trial.
        p_target: the prior of minDCF.
        point: the threshold, if any.
        resamples: how many draws of speakers.

    Returns:
        None where there are too few speakers.
    """
    count = len(set(speakers(trials)))
    if count < LEAST_SPEAKERS:
        return None
    detection = Detection(scores, [bool(trial.label) for trial in trials])
    drawn: list[list[float]] = []
    for weights in weightings(trials, resamples):
        miss, false_alarm = detection.rates(weights)
        values = [crossing(miss, false_alarm), least_cost(miss, false_alarm, p_target=p_target)]
        if point is not None:
            values += detection.at(point.threshold, weights)[1:]
        drawn.append(values)
    ends = [(float(low), float(high)) for low, high in np.quantile(drawn, LEVELS, axis=0).T]
    return Intervals(count, *ends)
