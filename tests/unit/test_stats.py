"""Estimators and intervals."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp, wilcoxon

from rtfbench.results.stats import (
    clustered_quantile_interval,
    clustered_signed_rank_interval,
    hodges_lehmann,
    level_interval,
    median,
    quantile,
    quantile_lower_bound,
    relative_half_width,
    signed_rank_interval,
    student_interval,
    tail_quantile,
    thinned,
)


def test_median() -> None:
    """The middle value, or None of nothing."""
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([]) is None


def test_hodges_lehmann_is_the_median_of_pairwise_means() -> None:
    """An outlier moves the estimate little, a shift of all values moves it as far."""
    assert hodges_lehmann([1.0, 2.0, 6.0]) == 2.75
    assert hodges_lehmann([4.0]) == 4.0
    values = [0.0, 0.1, -0.1, 0.05, 100.0]
    assert hodges_lehmann(values) < 0.2
    assert hodges_lehmann([v + 3 for v in values]) == pytest.approx(hodges_lehmann(values) + 3)


@pytest.mark.parametrize("count", [6, 9, 20, 31])
def test_signed_rank_interval_inverts_the_test(count: int) -> None:
    """Just inside the interval scipy's exact test does not reject, just outside it does."""
    values = np.random.default_rng(count).normal(0.3, 1, count)
    interval = signed_rank_interval(values.tolist())
    assert interval is not None
    assert interval[0] < hodges_lehmann(values.tolist()) < interval[1]
    for end, outward in zip(interval, (-1, 1), strict=True):
        inside = wilcoxon(values - (end - outward * 1e-9), method="exact").pvalue
        outside = wilcoxon(values - (end + outward * 1e-9), method="exact").pvalue
        assert outside <= 0.05 < inside


def test_signed_rank_interval_needs_six_values() -> None:
    """Five values cannot carry a confidence of 95 %."""
    assert signed_rank_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert signed_rank_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (1.0, 6.0)


def test_signed_rank_interval_covers() -> None:
    """With skewed spikes on both sides of a pair, 95 % of 1000 intervals hold the truth."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(1000):
        pairs = rng.normal(0, 0.03, (2, 12)) + 0.4 * (rng.random((2, 12)) < 0.08)
        interval = signed_rank_interval((pairs[0] - pairs[1] + 0.1).tolist())
        assert interval is not None
        hits += interval[0] <= 0.1 <= interval[1]
    assert 0.93 <= hits / 1000 <= 0.97


def test_quantile() -> None:
    """Linear between values; None of nothing."""
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert quantile([], 0.9) is None


def test_student_interval_is_that_of_the_textbook() -> None:
    """Against scipy's own interval; a single value has none."""
    values = [0.1, 0.3, 0.2, 0.6]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx((expected.low, expected.high))
    assert student_interval([1.0]) is None
    low, high = level_interval([1.0, 1.1, 1.2]) or (0, 0)
    assert low < 1.1 < high


def test_half_width_is_relative() -> None:
    """From 0.98 to 1/0.98 is 2 % to either side; no interval is infinitely wide."""
    assert relative_half_width((1 / 1.02, 1.02)) == pytest.approx(0.02)
    assert relative_half_width(None) == float("inf")


def test_a_quantile_of_sessions_that_agree_by_luck_has_a_width() -> None:
    """Three sessions with one of a hundred requests beyond it each tell no more than 300 alone."""
    values = [[*range(99), 1000 + each] for each in range(3)]
    low, high = clustered_quantile_interval(values, 0.99) or (0, 0)
    assert low < 98 < high


def test_values_without_number_are_thinned() -> None:
    """Medians of some in a row have the same centre, session by session, and few pairs."""
    rng = np.random.default_rng(1)
    sessions = [rng.normal(0.1, 0.03, 5000).tolist() for _ in range(8)]
    thin = thinned(sessions)
    assert 1900 <= sum(map(len, thin)) <= 2100
    assert [len(each) for each in thin] == [len(thin[0])] * 8
    assert hodges_lehmann([value for each in thin for value in each]) == pytest.approx(
        0.1, abs=0.002
    )
    assert thinned([[1.0, 5.0], [2.0]]) == [[1.0, 5.0], [2.0]]


def _scores_reject(clusters: list[list[float]], centre: float) -> bool:
    """Test one centre by the definition: signed ranks of all values, summed by cluster."""
    values = np.array([value for cluster in clusters for value in cluster]) - centre
    ranks = np.abs(values).argsort().argsort() + 1
    signed = np.sign(values) * ranks
    ends = np.cumsum([len(cluster) for cluster in clusters])
    sums = [part.sum() for part in np.split(signed, ends[:-1])]
    statistic = np.mean(sums) / (np.std(sums, ddof=1) / np.sqrt(len(sums)))
    return bool(abs(statistic) > t.ppf(0.975, len(sums) - 1))


@pytest.mark.parametrize("seed", range(5))
def test_clustered_interval_inverts_its_test(seed: int) -> None:
    """Just inside the interval the test does not reject, just outside it does."""
    rng = np.random.default_rng(seed)
    clusters = [list(rng.normal(rng.normal(0.2, 0.5), 1, 5)) for _ in range(8)]
    interval = clustered_signed_rank_interval(clusters)
    assert interval is not None
    for end, outward in zip(interval, (-1, 1), strict=True):
        assert not _scores_reject(clusters, end - outward * 1e-9)
        assert _scores_reject(clusters, end + outward * 1e-9)


def test_clustered_interval_needs_six_clusters_of_one() -> None:
    """Three clusters of one value cannot reject anything; six can."""
    assert clustered_signed_rank_interval([[1.0], [2.0], [3.0]]) is None
    assert clustered_signed_rank_interval([[float(k)] for k in range(6)]) is not None


@pytest.mark.parametrize(("luck", "noise"), [(1.0, 0.0), (1.0, 1.0), (0.1, 1.0)])
def test_clustered_interval_covers(luck: float, noise: float) -> None:
    """Whichever level varies, 93 to 97 % of 2000 intervals hold the truth."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(2000):
        clusters = rng.normal(0, luck, (6, 1)) + rng.normal(0, noise, (6, 4))
        clusters += rng.normal(0, 1e-6, clusters.shape)
        interval = clustered_signed_rank_interval(clusters.tolist())
        assert interval is not None
        hits += interval[0] <= 0 <= interval[1]
    assert 0.93 <= hits / 2000 <= 0.97


def test_a_tail_takes_values_that_lie_in_it() -> None:
    """Of fourteen chunks none tells what 99 of 100 stay under; three above are the fewest."""
    assert tail_quantile(range(14), 0.99) is None
    assert tail_quantile(range(299), 0.99) is None
    assert tail_quantile(range(300), 0.99) == pytest.approx(296.01)
    assert tail_quantile(range(29), 0.9) is None
    assert tail_quantile(range(30), 0.9) is not None


def test_a_quantiles_lower_bound_is_seldom_too_high() -> None:
    """Of six values or of hundreds, the bound exceeds the true p95 as often as it may."""
    rng = np.random.default_rng(0)
    for count in (6, 30, 200):
        drawn = rng.uniform(0, 1, (2000, count))
        bounds = [quantile_lower_bound(each.tolist(), 0.95, alpha=0.02) for each in drawn]
        assert np.mean([bound is not None and bound > 0.95 for bound in bounds]) < 0.03
    assert quantile_lower_bound([], 0.95, alpha=0.02) is None
    # Ten values far over a limit prove it at once.
    assert quantile_lower_bound([2.0] * 10, 0.95, alpha=0.005) == 2.0
