"""Estimators and intervals (pure), on the log scale; medians and ranks, never a mean of times."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from rtfbench.base.values import Interval

Floats = npt.NDArray[np.float64]
#: Values of several clusters; those of one may depend on each other in any way.
Clusters = Sequence[Sequence[float]]
#: Number of declared looks -> how often an interval may miss at each of them.
#:
#: Measuring stops when the intervals are narrow enough. A spread that looks small by chance then
#: stops it early, so that intervals of 95 % at each look would hold in only 93 % of all runs. With
#: these values 95.0 to 96.6 % hold, whatever the true spread is, for looks at 6, 12 and 24 sessions
#: (found by simulation; the tests repeat it). Stopping depends on the width alone, so less has to
#: be paid than when stopping at significance (Pocock: 0.029 and 0.022).
ALPHA_PER_LOOK: Mapping[int, float] = {1: 0.05, 2: 0.036, 3: 0.034}
#: How often an interval of 95 % may miss.
ALPHA = 0.05
#: Half the width of a normal interval of 95 %, in standard deviations.
TWO_SIDED_95 = float(special.ndtri(0.975))
#: So many values have as many pairs as are looked at in a second.
MOST_VALUES = 2000
#: A quantile of which fewer values lie above, on average, is a matter of luck.
LEAST_ABOVE = 3.0


def relative_half_width(interval: Interval | None) -> float:
    """Return half the width of an interval of a positive quantity, relative to its middle."""
    if interval is None:
        return math.inf
    return math.expm1(math.log(interval[1] / interval[0]) / 2)


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the values does not exceed, None of nothing."""
    return float(np.quantile(values, share)) if values else None


def tail_quantile(values: Sequence[float], share: float) -> float | None:
    """Return the same where enough values lie above it to tell: three are expected to, or more."""
    enough = len(values) * (1 - share) >= LEAST_ABOVE - 1e-9
    return quantile(values, share) if enough else None


def quantile_lower_bound(values: Sequence[float], share: float, *, alpha: float) -> float | None:
    """Return what a quantile surely exceeds, from any many values; None where that is nothing.

    The k-th smallest value exceeds the quantile with probability P(Binomial(n, share) < k).

    Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    count = len(values)
    below = special.bdtr(np.arange(count), count, share) if count else np.zeros(0)
    rank = int(np.searchsorted(below, alpha, side="right"))
    return sorted(values)[rank - 1] if rank else None


def hodges_lehmann(values: Sequence[float]) -> float:
    """Return the median of all pairwise means: the centre that the signed-rank test implies.

    Source: Hodges and Lehmann, Estimates of Location Based on Rank Tests, 1963.
    """
    return float(np.median(_walsh_averages(values)))


def signed_rank_interval(values: Sequence[float]) -> Interval | None:
    """Return the centres that the signed-rank test does not reject, None with too few values.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, section 3.3 (the
    interval of Tukey, from the ordered Walsh averages). Six values are the fewest for 95 %.
    """
    averages = np.sort(_walsh_averages(values))
    cumulated = np.cumsum(_signed_rank_counts(len(values))) / 2.0 ** len(values)
    # The largest rank sum whose lower tail holds at most 2.5 %.
    rank = int(np.searchsorted(cumulated, ALPHA / 2, side="right"))
    if rank == 0:
        return None
    return float(averages[rank - 1]), float(averages[-rank])


def _walsh_averages(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    first, second = np.triu_indices(len(array))
    return (array[first] + array[second]) / 2


def _signed_rank_counts(count: int) -> Floats:
    """Return how many of the 2^n sign patterns give each sum of positive ranks."""
    counts = np.zeros(count * (count + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, count + 1):
        counts[rank:] += counts[:-rank].copy()
    return counts


def clustered_signed_rank_interval(clusters: Clusters, *, alpha: float = ALPHA) -> Interval | None:
    """Return the centres that the signed-rank test of clustered values does not reject.

    All values are ranked together by their distance from a centre; a cluster's score is the sum of
    its signed ranks, and Student's test says whether the clusters' mean score may be 0. Values of
    one cluster may depend on each other in any way. None where even the most distant centre is not
    rejected, as with fewer than six clusters of one value.

    Source: Rosner, Glynn and Lee, The Wilcoxon Signed Rank Test for Paired Comparisons of Clustered
    Data, Biometrics 62, 2006; Student's in place of the normal distribution, because clusters are
    few.
    """
    values = np.concatenate([np.asarray(cluster, np.float64) for cluster in clusters])
    labels = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
    averages = np.unique(_walsh_averages(values))
    # Ranks change where the centre passes a pairwise mean, so one centre between any two is enough.
    between = (averages[1:] + averages[:-1]) / 2
    centres = np.concatenate([[averages[0] - 1], between, [averages[-1] + 1]])
    factor = student_factor(len(clusters), alpha=alpha)

    def side(index: int) -> int:
        """Return 1 where the centre is rejected as too low, -1 as too high, else 0."""
        scores = _cluster_scores(values - centres[index], labels)
        middle, half = scores.mean(), factor * scores.std(ddof=1)
        return int(np.sign(middle)) if abs(middle) > half else 0

    if side(0) != 1 or side(len(centres) - 1) != -1:
        return None
    estimate = int(np.searchsorted(centres, np.median(_walsh_averages(values))))
    low = _last(lambda index: side(index) == 1, 0, estimate)
    high = _last(lambda index: side(index) != -1, estimate - 1, len(centres) - 1)
    return float(averages[low]), float(averages[high])


def _cluster_scores(distances: Floats, labels: npt.NDArray[np.intp]) -> Floats:
    """Return each cluster's sum of signed ranks; ranks are those among all distances."""
    ranks = np.empty(len(distances))
    ranks[np.argsort(np.abs(distances), kind="stable")] = np.arange(1, len(distances) + 1)
    return np.asarray(np.bincount(labels, np.sign(distances) * ranks), np.float64)


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the last index in [low, high) at which something holds; it holds at low."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def thinned(clusters: Clusters, most: int = MOST_VALUES) -> list[Sequence[float]]:
    """Return clusters of `most` values in all or little more: medians of so many in a row.

    All pairs of values are looked at, and those of a night's run take more memory than there is.
    """
    count = max(-(-sum(map(len, clusters)) // most), 1)
    return [
        [statistics.median(cluster[at : at + count]) for at in range(0, len(cluster), count)]
        for cluster in clusters
    ]


def student_interval(values: Sequence[float], *, alpha: float = ALPHA) -> Interval | None:
    """Return Student's interval of a centre, None for fewer than two values.

    Two values alone could lie together by chance, and then give an interval of no width; Student's
    factor pays for that only if they are normal, which sessions' estimates nearly are.
    """
    if len(values) < 2:
        return None
    half = student_factor(len(values), alpha=alpha) * statistics.stdev(values)
    middle = statistics.fmean(values)
    return middle - half, middle + half


def student_factor(count: int, *, alpha: float = ALPHA) -> float:
    """Return half the width of Student's interval of `count` values, in standard deviations."""
    return float(special.stdtrit(count - 1, 1 - alpha / 2)) / math.sqrt(count)


def clustered_mean_interval(clusters: Clusters) -> Interval | None:
    """Return the interval of a mean of what is never negative, None of fewer than three clusters.

    Values of one cluster may depend on each other in any way; those of several do not. The interval
    is that of the mean's logarithm: what waits in a queue is skewed, and so are a few means of it.
    """
    found = _clustered_mean(clusters)
    if found is None:
        return None
    mean, half = found
    return (mean * math.exp(-half / mean), mean * math.exp(half / mean)) if mean > 0 else (0.0, 0.0)


def clustered_quantile_interval(clusters: Clusters, share: float) -> Interval | None:
    """Return the order statistics between which a quantile lies, None of fewer than three clusters.

    The share of values below the quantile is estimated as a mean over clusters, and the interval of
    that share gives the ranks. An end that no value reaches is open: 0 or infinite.

    Source: Woodruff, Confidence Intervals for Medians and Other Position Measures, 1952.
    """
    values = np.sort(np.concatenate([np.asarray(each, np.float64) for each in clusters]))
    middle = float(np.quantile(values, share)) if len(values) else math.nan
    found = _clustered_mean([[float(v <= middle) for v in each] for each in clusters])
    if found is None:
        return None
    _, half = found
    count = len(values)
    # Sessions that have as many beyond it by luck do not make it surer than independent values are.
    half = max(half, TWO_SIDED_95 * math.sqrt(share * (1 - share) / count))
    low, high = math.floor(count * (share - half)), math.ceil(count * (share + half))
    return (
        float(values[low - 1]) if low >= 1 else 0.0,
        float(values[high - 1]) if high <= count else math.inf,
    )


def _clustered_mean(clusters: Clusters) -> tuple[float, float] | None:
    """Return a mean over clusters and half the width of its interval, None of fewer than three.

    A degree of freedom less than Student's: few clusters of a skewed quantity vary less than they
    should where their mean is too small, and by that many the trial of queues holds what it says.

    Source: Cochran, Sampling Techniques, section 6.3 (the ratio estimator).
    """
    known = [each for each in clusters if each]
    if len(known) < 3:
        return None
    counts = np.array([len(each) for each in known])
    sums = np.array([sum(each) for each in known])
    mean = float(sums.sum() / counts.sum())
    spread = float(np.std((sums - mean * counts) / counts.mean(), ddof=1)) / math.sqrt(len(known))
    return mean, float(special.stdtrit(len(known) - 2, 1 - ALPHA / 2)) * spread


def level_interval(values_by_session: Sequence[float]) -> Interval | None:
    """Return the interval of a positive quantity from one estimate a session, by its logarithm."""
    return exponential(student_interval([math.log(v) for v in values_by_session]))


def exponential(interval: Interval | None) -> Interval | None:
    """Return the interval of a quantity from that of its logarithm."""
    return None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))
