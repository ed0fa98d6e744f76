"""Estimators and intervals (pure); medians and ranks, never a mean of times."""

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def median_interval(
    values: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the distribution-free interval of a median, None where there are too few values.

    The interval runs from the k-th smallest to the k-th largest value; it misses the median
    with probability 2 P(Binomial(n, 1/2) < k), so k is the largest for which that is at most
    1 - confidence. Six values are the fewest for 95 %.

    Source: Conover, Practical Nonparametric Statistics, section 3.2 (confidence interval for a
    quantile).
    """
    n = len(values)
    below = 0.0
    rank = 0
    while rank < n // 2:
        below += math.comb(n, rank) / 2**n
        if 2 * below > 1 - confidence:
            break
        rank += 1
    if rank == 0:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[n - rank]
