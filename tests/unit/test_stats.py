"""Estimators and intervals."""

import random

import pytest

from bench.stats import median, median_interval


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
