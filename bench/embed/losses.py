"""What a candidate's scores lose against a reference's on the same trials: EER and minDCF.

Both are scored on the same resampled speakers, so that what makes trials hard falls out of the
difference.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.embed.resampling import LEVELS, RESAMPLES, Floats, weightings
from bench.embed.scoring import Detection, crossing, least_cost
from bench.embed.trials import Trial


class Loss(NamedTuple):
    """How much higher a figure of the candidate is, with its 95 % interval."""

    loss: float
    low: float
    high: float


class Losses(NamedTuple):
    """Of the EER, as a share (0.001 for 0.1 points), and of the normalised minDCF."""

    eer: Loss
    min_dcf: Loss


def losses(
    trials: Sequence[Trial],
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    resamples: int = RESAMPLES,
) -> Losses:
    """Compare two systems' scores of the same labelled trials."""
    labels = [bool(trial.label) for trial in trials]
    before, after = (Detection(scores, labels) for scores in (reference, candidate))

    def difference(weights: Floats | None) -> Floats:
        return _figures(after, weights) - _figures(before, weights)

    differences = [difference(weights) for weights in weightings(trials, resamples)]
    found = np.stack([difference(None), *np.quantile(differences, LEVELS, axis=0)])
    return Losses(*(Loss(*column.tolist()) for column in found.T))


def _figures(detection: Detection, weights: Floats | None) -> Floats:
    """Return EER and minDCF of weighted trials, [2]."""
    rates = detection.rates(weights)
    return np.array([crossing(*rates), least_cost(*rates)])
