"""Regression, pass or go on, after every look at a cell's sessions (pure).

Measuring ends as soon as the answer is known, so a large difference takes two sessions and a small
one takes many. Each look may err; the shares below are what a look may spend so that all of them
together err as seldom as is said (found by simulation, in `tests/validation`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from rtfbench.base.values import Interval
from rtfbench.results.moderated import (
    SPREAD,
    Moderated,
    SessionValues,
    ghost_scale,
    half_widths,
    moderated,
    sum_of_squares_about_zero,
)
from rtfbench.results.stats import Floats

#: A cell is judged after so many sessions; with the last ones the measuring ends.
LOOKS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 40)
#: Looks share most of their data: all of them err about as often as this many that share none.
LOOKS_THAT_COUNT = 10

#: How often a criterion may be called slower than its margin though it is not, over all cells.
ALPHAS: Mapping[str, float] = MappingProxyType({"RTF": 0.006})
ALPHA_OF_OTHERS = 0.001
#: How often one look may pass what is over its limit.
ALPHA_PASS = 0.05 / 7
#: The ghost differs from the baseline if it does so beyond this half width.
ALPHA_GHOST = 0.005
#: Where times are taken as they would be undisturbed, a candidate passes that is not disturbed more
#: than the baseline; this many of those that are alike have to wait for a further look.
ALPHA_SPIKES = 0.2
#: More sessions than this are no answer to the question how many would do.
MOST_SESSIONS = 1000


@dataclass(frozen=True)
class Decision:
    """What is known of one criterion of a cell after a look; log ratios.

    `interval` is the two-sided 95 % interval of the mean. `off` is how much the ghost proves to
    differ from the baseline: so much more has to be shown. "inconclusive" means to go on, while
    there is time. Where the times are as they would be undisturbed, `spikes` is how much more the
    candidate takes of what disturbed both, and `spiky` says that this decided.
    """

    answer: Literal["pass", "regression", "inconclusive"]
    mean: float
    interval: Interval
    off: float
    sessions: int
    df: float
    spikes: float | None = None
    spiky: bool = False

    @property
    def ratio(self) -> float:
        """How many times as long the candidate takes."""
        return math.exp(self.mean)

    @property
    def ci95(self) -> Interval:
        """The interval of the ratio."""
        return math.exp(self.interval[0]), math.exp(self.interval[1])


def alpha_of(criterion: str) -> float:
    """Return how often a criterion may be called slower though it is not, over all cells."""
    return ALPHAS.get(criterion, ALPHA_OF_OTHERS)


def last_look(sessions: int) -> int:
    """Return how many sessions the last look had, or how many there are before the first."""
    return max((look for look in LOOKS if look <= sessions), default=sessions)


@dataclass(frozen=True)
class Case:
    """A cell's sessions so far, and what they are judged by.

    Attributes:
        values: the cell's sessions.
        margin: share by which the time may grow unproved.
        limit: share that must be ruled out to pass; without one, what is no regression passes.
        others: the sessions of the other cells that compare the same engines alike.
        prior: how much sessions are assumed to differ, a standard deviation.
        cells: how many are judged by this criterion.
        alpha: how often the criterion may err, see `alpha_of`.
    """

    values: SessionValues
    _: KW_ONLY
    margin: float
    limit: float | None
    others: Sequence[SessionValues] = ()
    prior: float = SPREAD
    cells: int = 1
    alpha: float = ALPHAS["RTF"]


def decide(case: Case) -> Decision | None:
    """Judge a cell; None with fewer sessions than the first look has."""
    if len(case.values.u) < LOOKS[0]:
        return None
    u, off = _estimates(case.values, case.others, case.prior)
    low, high = reaches(u.mean, u.scale, u.df, u.sessions, off, cells=case.cells, alpha=case.alpha)
    answer: Literal["pass", "regression", "inconclusive"] = "inconclusive"
    if low > math.log1p(case.margin):
        answer = "regression"
    elif case.limit is None or high <= math.log1p(case.limit):
        answer = "pass"
    found = Decision(answer, u.mean, u.interval(), off, u.sessions, u.df)
    return found if case.values.spikes is None else _with_spikes(found, case.values.spikes, case)


def _with_spikes(found: Decision, spikes: SessionValues, case: Case) -> Decision:
    """Hold a candidate to what its disturbed times take more than the baseline's, too.

    Where that is surely over the margin, it is a regression; where it seems to be, it is no pass.
    """
    more, off = _estimates(spikes, (), case.prior)
    found = replace(found, spikes=more.mean)
    margin = math.log1p(case.margin)
    low, _ = reaches(
        more.mean, more.scale, more.df, more.sessions, off, cells=case.cells, alpha=ALPHA_OF_OTHERS
    )
    if found.answer != "regression" and low > margin:
        return replace(found, answer="regression", spiky=True)
    seems = more.mean - more.half_width(ALPHA_SPIKES) > 0 and more.mean > margin
    if found.answer == "pass" and seems:
        return replace(found, answer="inconclusive", spiky=True)
    return found


def reaches(
    mean: npt.ArrayLike,
    scale: npt.ArrayLike,
    df: npt.ArrayLike,
    sessions: npt.ArrayLike,
    off: npt.ArrayLike,
    *,
    cells: int,
    alpha: float,
) -> tuple[Floats, Floats]:
    """Return what the ratios of any many cells surely exceed, and what they surely do not.

    The first is to be over the margin to call a regression, the second within the limit to pass.
    """
    below = half_widths(alpha / (LOOKS_THAT_COUNT * cells), scale, df, sessions)
    above = half_widths(ALPHA_PASS, scale, df, sessions)
    middle, more = np.asarray(mean, np.float64), np.asarray(off, np.float64)
    return middle - below - more, middle + above + more


def ghost_offs(
    mean: npt.ArrayLike, scale: npt.ArrayLike, df: npt.ArrayLike, sessions: npt.ArrayLike
) -> Floats:
    """Return by how much ghosts surely differ from their baselines, 0 where they may not."""
    return np.maximum(0.0, np.abs(mean) - half_widths(ALPHA_GHOST, scale, df, sessions))


def sessions_needed(case: Case) -> int | None:
    """Return after how many sessions the present mean and spread would decide.

    None where no number would: too few sessions to say, or the ghost differs by so much that only
    a quieter machine helps.
    """
    if len(case.values.u) < LOOKS[0]:
        return None
    u, off = _estimates(case.values, case.others, case.prior)
    sessions = np.arange(u.sessions, MOST_SESSIONS + 1)
    df = u.df - u.sessions + sessions
    low, high = reaches(u.mean, u.scale, df, sessions, off, cells=case.cells, alpha=case.alpha)
    passed = case.limit is None or high <= math.log1p(case.limit)
    decided = (low > math.log1p(case.margin)) | passed
    return int(sessions[np.argmax(decided)]) if decided.any() else None


def _estimates(
    values: SessionValues, others: Sequence[SessionValues], prior: float
) -> tuple[Moderated, float]:
    """Return the candidate's ratio, and by how much the ghost surely differs.

    The ratio's spread is at least what the ghost's lets expect.
    """
    u = moderated(values.u, others=[each.u for each in others], prior=prior)
    v = moderated(values.v, others=[each.v for each in others], prior=prior)
    assert u is not None
    assert v is not None
    # Two or three sessions may agree by luck where the machine is not quiet; the ghost tells.
    least = ghost_scale(
        sum_of_squares_about_zero(values.v),
        len(values.v),
        sum(sum_of_squares_about_zero(each.v) for each in others),
        sum(len(each.v) for each in others),
        prior=prior,
    )
    u = replace(u, scale=max(u.scale, float(least)))
    return u, float(ghost_offs(v.mean, v.scale, v.df, v.sessions))
