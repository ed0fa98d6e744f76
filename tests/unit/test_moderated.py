"""Variances that lean on those of like cells."""

import math

import numpy as np
import pytest
from scipy.stats import t

from rtfbench.results.moderated import (
    SPREAD,
    SPREAD_OF_PREPARING,
    SessionValues,
    moderated,
    moderated_scale,
    prior_spread,
    session_values,
)
from rtfbench.results.stats import student_interval


def test_alone_the_assumed_spread_counts_as_one_session() -> None:
    """By hand.

    Mean 0.02, SS = 0.01^2 + 0.01^2 = 2e-4. nu = 1 and s0^2 = 1e-4, so d = 1 and df = 1 + 1 = 2;
    s^2 = (1 * 1e-4 + 2e-4) / 2 = 1.5e-4. The half width at 5 % is t(0.95, 2) = 2.91999 times
    sqrt(1.5e-4 / 2) = 0.00866025: 0.0252878.
    """
    found = moderated([0.01, 0.03], prior=0.01)
    assert found is not None
    assert found.mean == pytest.approx(0.02)
    assert (found.df, found.sessions) == (2, 2)
    assert found.scale**2 == pytest.approx(1.5e-4)
    assert found.half_width(0.05) == pytest.approx(0.0252878, rel=1e-5)
    low, high = found.interval(alpha=0.10)
    assert (low, high) == pytest.approx((0.02 - 0.0252878, 0.02 + 0.0252878), rel=1e-4)


def test_other_cells_inform_the_prior() -> None:
    """By hand.

    The others have SS 2e-4 with 1 degree of freedom and 1e-4 + 1e-4 + 4e-4 = 6e-4 with 2; nu = 1 +
    1 + 2 = 4, s0^2 = (1e-4 + 8e-4) / 4 = 2.25e-4, d = min(3, 4) = 3, df = 3 + 2 - 1 = 4;
    s^2 = (3 * 2.25e-4 + 2e-4) / 4 = 2.1875e-4.
    """
    others = [[0.0, 0.02], [0.01, 0.01, 0.04]]
    found = moderated([0.01, 0.03], others=others, prior=0.01)
    assert found is not None
    assert found.df == 4
    assert found.scale**2 == pytest.approx(2.1875e-4)


def test_without_a_prior_it_is_students() -> None:
    """Nothing assumed, the interval is the textbook's; one value then has none."""
    values = [0.1, 0.3, 0.2, 0.6]
    found = moderated(values, most_prior_freedom=0.0)
    assert found is not None
    assert found.interval() == pytest.approx(student_interval(values))
    assert moderated([0.1], most_prior_freedom=0.0) is None
    assert moderated([]) is None


def test_a_single_session_has_the_assumed_spread() -> None:
    """Nothing was seen of the spread: the prior alone, with its one degree of freedom."""
    found = moderated([0.1], prior=0.02)
    assert found is not None
    assert found.half_width(0.025) == pytest.approx(0.02 * t.ppf(0.975, 1))


def test_order_and_sign_do_not_matter() -> None:
    """Sessions in any order, cells in any order; who is compared with whom turns the mean only."""
    values, others = [0.01, 0.04, -0.02], [[0.0, 0.03], [0.01, 0.05, 0.02], [], [0.7]]
    found = moderated(values, others=others)
    turned = moderated([-v for v in values[::-1]], others=[[-v for v in o] for o in others[::-1]])
    assert found is not None
    assert turned is not None
    assert turned.mean == pytest.approx(-found.mean)
    assert (turned.scale, turned.df) == pytest.approx((found.scale, found.df))
    # A shift of all sessions, which is another engine's ratio, says nothing of the spread.
    shifted = moderated(values, others=[[v + 1 for v in o] for o in others])
    assert shifted is not None
    assert shifted.scale == pytest.approx(found.scale)


def test_many_cells_at_once() -> None:
    """What holds of one cell holds of an array of them."""
    scale, df = moderated_scale([2e-4, 2e-4], 2, [0.0, 8e-4], [0, 3], prior=0.01)
    assert (scale**2).tolist() == pytest.approx([1.5e-4, 2.1875e-4])
    assert df.tolist() == [2, 4]


def test_a_spike_of_one_twin_does_not_bias() -> None:
    """By hand: HL over four blocks of which one is disturbed stays with the others.

    A spike of 0.4 in the baseline of block 0, in the ghost of block 1: each ratio has three blocks
    at 0.1 and one at -0.3. Of its ten pairwise means six are 0.1, so the median is; the ratio to
    the mean of both twins has two blocks of four at -0.1, and HL = 0.
    """
    to_baseline, to_ghost = [-0.3, 0.1, 0.1, 0.1], [0.1, -0.3, 0.1, 0.1]
    ghost = [-0.4, 0.4, 0.0, 0.0]
    found = session_values([to_baseline], [to_ghost], [ghost])
    assert found.u == pytest.approx((0.1,))
    assert found.v == pytest.approx((0.0,))


def test_sessions_have_both_values() -> None:
    """A session without its ghost's value cannot be judged."""
    with pytest.raises(ValueError, match="2 sessions have a u, 1 a v"):
        SessionValues(u=(0.1, 0.2), v=(0.0,))


def test_the_assumed_spread_is_the_protocols() -> None:
    """Preparing weights within the clock varies more; nothing else does."""
    assert prior_spread(protocol="published", form="dynamic") == SPREAD_OF_PREPARING
    assert prior_spread(protocol="published", form="static") == SPREAD
    assert prior_spread(protocol="steady", form="dynamic") == SPREAD


def test_a_right_prior_narrows_and_holds() -> None:
    """Of two sessions of like cells, 95 % of the intervals hold, a third as wide as Student's."""
    rng = np.random.default_rng(2)
    hits, ours, students = 0, [], []
    for _ in range(2000):
        cells = rng.normal(0, SPREAD, (3, 2)).tolist()
        found = moderated(cells[0], others=cells[1:])
        alone = student_interval(cells[0])
        assert found is not None
        assert alone is not None
        low, high = found.interval()
        hits += low <= 0 <= high
        ours.append(high - low)
        students.append(alone[1] - alone[0])
    assert 0.94 <= hits / 2000 <= 0.98
    assert np.median(ours) < np.median(students) / 3
    assert math.isfinite(np.max(ours))
