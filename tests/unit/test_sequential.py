"""The decision after each look."""

import math

import numpy as np
import pytest
from scipy.stats import t

from rtfbench.results.moderated import SPREAD, SessionValues, moderated
from rtfbench.results.sequential import (
    ALPHA_OF_OTHERS,
    LOOKS,
    Case,
    Decision,
    alpha_of,
    decide,
    sessions_needed,
)


def judge(
    u: tuple[float, ...],
    v: tuple[float, ...] | None = None,
    *,
    others: tuple[SessionValues, ...] = (),
    limit: float | None = 0.05,
    cells: int = 1,
    margin: float = 0.02,
) -> Decision:
    """Judge by these values."""
    values = SessionValues(u, v or (0.0,) * len(u))
    found = decide(Case(values, margin=margin, limit=limit, others=others, cells=cells))
    assert found is not None
    return found


def test_a_large_difference_takes_two_sessions() -> None:
    """By hand.

    SS = 2 * 0.01^2 = 2e-4; d = 1, df = 2, s^2 = (0.81e-4 + 2e-4) / 2 = 1.405e-4, s / sqrt(2) =
    0.0083815. t(1 - 0.006 / 10, 2) = 28.85: h = 0.2418. 0.41 - 0.2418 = 0.168 is over ln 1.02 =
    0.0198; 0.26 - 0.2418 = 0.0182 is not. For three cells t(1 - 0.0002, 2) = 49.98: h = 0.4190.
    """
    assert judge((0.40, 0.42)).answer == "regression"
    assert judge((0.25, 0.27)).answer == "inconclusive"
    assert judge((0.40, 0.42), cells=3).answer == "inconclusive"
    found = judge((0.40, 0.42))
    half = t.ppf(0.975, 2) * 0.0083815
    assert found.interval == pytest.approx((0.41 - half, 0.41 + half), rel=1e-4)
    assert (found.sessions, found.df, found.off) == (2, 2, 0)
    assert found.ratio == pytest.approx(math.exp(0.41))
    assert found.ci95 == pytest.approx(tuple(map(math.exp, found.interval)))


def test_what_is_surely_within_the_limit_passes() -> None:
    """By hand.

    SS = 0: s^2 = 0.81e-4 / 2, s / sqrt(2) = 0.0045; t(1 - 0.05 / 7, 2) = 8.28: h = 0.0373, under
    ln 1.05 = 0.0488, over ln 1.03 = 0.0296.
    """
    assert judge((0.0, 0.0)).answer == "pass"
    assert judge((0.0, 0.0), limit=0.03).answer == "inconclusive"


def test_without_a_limit_what_is_no_regression_passes() -> None:
    """However wide the interval is."""
    assert judge((0.0, 0.5), limit=None).answer == "pass"
    assert judge((0.40, 0.42), limit=None).answer == "regression"


def test_a_ghost_that_differs_has_to_be_exceeded() -> None:
    """By hand.

    v of 0.2 twice: h = t(0.995, 2) * 0.0045 = 9.925 * 0.0045 = 0.0447, off = 0.2 - 0.0447 = 0.1553.
    So 0.41 - 0.2418 - 0.1553 = 0.013 is not over the margin, and nothing passes. Whether the ghost
    is slower or faster does not matter. One of 0.04 may be chance.
    """
    for sign in (1, -1):
        found = judge((0.40, 0.42), (sign * 0.2, sign * 0.2))
        assert found.off == pytest.approx(0.1553, abs=1e-4)
        assert found.answer == "inconclusive"
    assert judge((0.0, 0.0), (0.2, 0.2)).answer == "inconclusive"
    assert judge((0.40, 0.42), (0.04, 0.04)).off == 0


def test_other_cells_decide_with() -> None:
    """0.26, too little for a cell alone, is enough beside like cells; less so beside wild ones."""
    calm, wild = (SessionValues((0.0, x), (0.0, 0.0)) for x in (0.01, 0.4))
    assert judge((0.25, 0.27), others=(calm, calm)).answer == "regression"
    assert judge((0.25, 0.27), others=(wild, wild)).answer == "inconclusive"


def test_a_ghost_widens_and_never_narrows() -> None:
    """Sessions that agree convince where the ghost's do as well; a calm ghost proves nothing."""
    calm = judge((0.25, 0.27, 0.26), v=(0.001, 0.0, -0.001))
    assert calm.answer == "regression"
    loud = judge((0.25, 0.27, 0.26), v=(0.3, -0.3, 0.2))
    assert loud.answer == "inconclusive"
    assert loud.interval[0] < 0 < calm.interval[0]
    scattered = (0.0, 0.3, 0.6)
    alone = moderated(scattered)
    assert alone is not None
    assert judge(scattered, v=(0.0, 0.0, 0.0)).interval == pytest.approx(alone.interval())


def test_order_does_not_matter() -> None:
    """Sessions come in any order."""
    u, v = (0.01, 0.05, -0.02, 0.03), (0.1, 0.12, 0.11, 0.09)
    assert judge(u[::-1], v[::-1]).interval == pytest.approx(judge(u, v).interval)
    assert judge(u[::-1], v[::-1]).off == pytest.approx(judge(u, v).off)


def test_one_session_decides_nothing() -> None:
    """The first look has two."""
    one = Case(SessionValues((3.0,), (0.0,)), margin=0.02, limit=0.05)
    assert decide(one) is None
    assert sessions_needed(one) is None
    assert LOOKS[0] == 2


def test_only_rtf_may_err_more_often() -> None:
    """Criteria that are no RTF are many; each may err less."""
    assert alpha_of("RTF") == 0.006
    assert alpha_of("load") == alpha_of("harness") == ALPHA_OF_OTHERS == 0.001


def test_sessions_needed_are_those_that_decide() -> None:
    """With as many sessions of the same mean and spread it is decided, with one less it is not."""
    for u in ((0.25, 0.27), (0.0, 0.05), (0.035, 0.045)):
        values = SessionValues(u, (0.0, 0.0))
        needed = sessions_needed(Case(values, margin=0.02, limit=0.05))
        assert needed is not None
        assert needed > 2
        now = judge(u)
        variance = (now.interval[1] - now.interval[0]) / 2 / t.ppf(0.975, now.df) * math.sqrt(2)

        def decided(count: int, mean: float = now.mean, scale: float = variance) -> bool:
            below, above = (
                t.ppf(1 - share, count) * scale / math.sqrt(count) for share in (0.0006, 0.05 / 7)
            )
            return bool(mean - below > math.log(1.02) or mean + above <= math.log(1.05))

        assert decided(needed)
        assert not decided(needed - 1)


def test_some_need_a_quieter_machine() -> None:
    """No number of sessions decides where the ghost is further off than margin and limit are."""
    values = SessionValues((0.03, 0.04), (0.5, 0.5))
    assert sessions_needed(Case(values, margin=0.02, limit=0.05)) is None
    assert sessions_needed(Case(values, margin=0.02, limit=None)) == 2


def test_looks_together_err_seldom() -> None:
    """At the margin's edge, with three times the assumed spread, seldom is one called slower."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(1000):
        u = (math.log(1.02) + rng.normal(0, 3 * SPREAD, 8)).tolist()
        zeros = (0.0,) * 8
        hits += any(
            judge(tuple(u[:look]), zeros[:look], limit=0.0).answer == "regression"
            for look in LOOKS
            if look <= 8
        )
    # Four of 1000 are at most 1.02 % (Clopper and Pearson).
    assert hits <= 4
