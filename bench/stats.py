"""Estimators and intervals (pure); medians and ranks, never a mean of times.

Times are compared in pairs, as the difference of logarithms within a block, because a shared
machine drifts by more than engines differ.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]


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


def hodges_lehmann(values: Sequence[float]) -> float:
    """Return the median of all pairwise means: the centre that the signed-rank test implies.

    Source: Hodges and Lehmann, Estimates of Location Based on Rank Tests, 1963.
    """
    return float(np.median(_walsh_averages(values)))


def signed_rank_interval(values: Sequence[float], *, alpha: float = 0.05) -> Interval | None:
    """Return the centres that the signed-rank test does not reject, None with too few values.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, section 3.3 (the
    interval of Tukey, from the ordered Walsh averages). Six values are the fewest for 95 %.
    """
    averages = np.sort(_walsh_averages(values))
    cumulated = np.cumsum(_signed_rank_counts(len(values))) / 2.0 ** len(values)
    # The largest rank sum whose lower tail holds at most alpha / 2.
    rank = int(np.searchsorted(cumulated, alpha / 2, side="right"))
    if rank == 0:
        return None
    return float(averages[rank - 1]), float(averages[-rank])


def _walsh_averages(values: Sequence[float]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    first, second = np.triu_indices(len(array))
    return (array[first] + array[second]) / 2


def _signed_rank_counts(count: int) -> npt.NDArray[np.float64]:
    """Return how many of the 2^n sign patterns give each sum of positive ranks."""
    counts = np.zeros(count * (count + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, count + 1):
        counts[rank:] += counts[:-rank].copy()
    return counts
