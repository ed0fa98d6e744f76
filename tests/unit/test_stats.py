"""Estimators and intervals."""

import random

import numpy as np
import pytest
from scipy.stats import wilcoxon

from bench.stats import hodges_lehmann, median, median_interval, signed_rank_interval


def test_median() -> None:
    """The middle value, or None of nothing."""
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([]) is None


@pytest.mark.parametrize(
    ("count", "expected"),
    # Ranks from the table of Conover (1999), 95 % for the median.
    [(5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15))],
)
def test_interval_ranks(count: int, expected: tuple[int, int] | None) -> None:
    """The interval runs between the ranks that the binomial distribution gives."""
    assert median_interval([float(value) for value in range(1, count + 1)]) == expected


def test_interval_covers() -> None:
    """In 2000 samples of a skewed distribution, 95 % of the intervals hold the median."""
    rng = random.Random(0)
    hits = 0
    for _ in range(2000):
        interval = median_interval([rng.expovariate(1.0) for _ in range(15)])
        assert interval is not None
        hits += interval[0] <= 0.6931 <= interval[1]
    assert 0.945 <= hits / 2000 <= 0.985


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
