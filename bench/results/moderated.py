"""Intervals from few sessions: what the other cells of a stratum say of the spread (pure).

Two or three sessions hardly tell how much sessions differ. But cells that compare the same engines
in the same way differ from session to session alike, because it is the processes' luck that makes
them differ. So a cell's variance is moderated, as limma does with the variances of genes: a prior
variance, from what is known and from the other cells, counts as some further sessions.

Source: Smyth, Linear Models and Empirical Bayes Methods for Assessing Differential Expression in
Microarray Experiments, Statistical Applications in Genetics and Molecular Biology 3, 2004.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.base.values import Interval
from bench.results.stats import hodges_lehmann

Floats = npt.NDArray[np.float64]

#: How much sessions are assumed to differ, as the standard deviation of a session's log ratio.
SPREAD = 0.009
#: The same where each utterance prepares its model's weights anew, within the clock: 3 % on one
#: host and 8 % on another.
SPREAD_OF_PREPARING = 0.05
#: The prior counts as so many sessions more, at most: cells of a stratum are alike, not the same.
MOST_PRIOR_FREEDOM = 3.0
#: If processes differ by a variance of 1, `v` does by 2 and `u`, in which two are a mean, by 1.5.
OF_GHOST = 0.75


def prior_spread(*, protocol: str, form: str) -> float:
    """Return how much sessions of a stratum are assumed to differ."""
    preparing = protocol == "published" and form == "dynamic"
    return SPREAD_OF_PREPARING if preparing else SPREAD


@dataclass(frozen=True)
class SessionValues:
    """Two values a session, log ratios of times.

    `u` is the candidate against the mean of baseline and ghost, `v` the ghost against the baseline,
    which is the same program: it differs from 0 only as much as the machine misleads.
    """

    u: tuple[float, ...]
    v: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.u) != len(self.v):
            raise ValueError(f"{len(self.u)} sessions have a u, {len(self.v)} a v")


def session_values(
    to_baseline: Sequence[Sequence[float]],
    to_ghost: Sequence[Sequence[float]],
    ghost_to_baseline: Sequence[Sequence[float]],
) -> SessionValues:
    """Return the values of each session from the log ratios of its blocks.

    Args:
        to_baseline: log(candidate / baseline), a list a session.
        to_ghost: log(candidate / ghost).
        ghost_to_baseline: log(ghost / baseline).

    The candidate's two ratios are estimated apart: in the ratio to the mean of both, a spike of
    either would count, and of a few blocks that is most.
    """
    pairs = zip(to_baseline, to_ghost, strict=True)
    return SessionValues(
        u=tuple((hodges_lehmann(a) + hodges_lehmann(b)) / 2 for a, b in pairs),
        v=tuple(hodges_lehmann(blocks) for blocks in ghost_to_baseline),
    )


@dataclass(frozen=True)
class Moderated:
    """A mean of sessions' values and its moderated spread.

    `scale` is the standard deviation of one session, `df` the degrees of freedom behind it.
    """

    mean: float
    scale: float
    df: float
    sessions: int

    def half_width(self, share: float) -> float:
        """Return how far the mean is from the truth at most, but for this share on each side."""
        return float(half_widths(share, self.scale, self.df, self.sessions))

    def interval(self, *, alpha: float = 0.05) -> Interval:
        """Return the two-sided interval of the mean, on the log scale as the values are."""
        half = self.half_width(alpha / 2)
        return self.mean - half, self.mean + half


def moderated(
    values: Sequence[float],
    *,
    others: Sequence[Sequence[float]] = (),
    prior: float = SPREAD,
    most_prior_freedom: float = MOST_PRIOR_FREEDOM,
) -> Moderated | None:
    """Return a cell's mean with the spread that its stratum lets expect; None without a value.

    Args:
        values: one of each of the cell's sessions.
        others: the same of the stratum's other cells; those that are decided still count.
        prior: what is assumed of the stratum, a standard deviation.
        most_prior_freedom: what the prior counts at most; 0 leaves Student's interval.
    """
    if not values or len(values) + most_prior_freedom <= 1:
        return None
    scale, df = moderated_scale(
        sum_of_squares(values),
        len(values),
        sum(sum_of_squares(each) for each in others),
        sum(len(each) - 1 for each in others if each),
        prior=prior,
        most_prior_freedom=most_prior_freedom,
    )
    mean = math.fsum(values) / len(values)
    return Moderated(mean=mean, scale=float(scale), df=float(df), sessions=len(values))


def sum_of_squares(values: Sequence[float]) -> float:
    """Return the squared distances from the mean, summed."""
    mean = math.fsum(values) / len(values) if values else 0.0
    return math.fsum((value - mean) ** 2 for value in values)


def moderated_scale(
    squares: npt.ArrayLike,
    sessions: npt.ArrayLike,
    other_squares: npt.ArrayLike,
    other_freedom: npt.ArrayLike,
    *,
    prior: float,
    most_prior_freedom: float = MOST_PRIOR_FREEDOM,
) -> tuple[Floats, Floats]:
    """Return the standard deviation of a session and its degrees of freedom, of any many cells.

    What is assumed counts as one degree of freedom among those of the other cells; together they
    count as `most_prior_freedom` at most.
    """
    known = 1.0 + np.asarray(other_freedom, np.float64)
    expected = (prior**2 + np.asarray(other_squares, np.float64)) / known
    weight = np.minimum(most_prior_freedom, known)
    df = weight + np.asarray(sessions, np.float64) - 1
    return np.sqrt((weight * expected + np.asarray(squares, np.float64)) / df), df


def ghost_scale(
    squares: npt.ArrayLike,
    sessions: npt.ArrayLike,
    other_squares: npt.ArrayLike,
    other_sessions: npt.ArrayLike,
    *,
    prior: float,
    most_prior_freedom: float = MOST_PRIOR_FREEDOM,
) -> Floats:
    """Return how much sessions of `u` should differ by what the ghost's do, of any many cells.

    Ghost and baseline are one program, so the mean of `v` is known to be 0, and every session
    counts whole. The sums of squares are those of `v`, about 0.
    """
    scale, _ = moderated_scale(
        OF_GHOST * np.asarray(squares, np.float64),
        np.asarray(sessions, np.float64) + 1,
        OF_GHOST * np.asarray(other_squares, np.float64),
        other_sessions,
        prior=prior,
        most_prior_freedom=most_prior_freedom,
    )
    return scale


def half_widths(
    share: float, scale: npt.ArrayLike, df: npt.ArrayLike, sessions: npt.ArrayLike
) -> Floats:
    """Return Student's one-sided half width of means, of any many cells."""
    freedom = np.asarray(df, np.float64)
    # Few degrees of freedom come up, often: one quantile for each.
    each, where = np.unique(freedom, return_inverse=True) if freedom.ndim else (freedom, ...)
    factor = np.asarray(special.stdtrit(each, 1 - share), np.float64)[where].reshape(freedom.shape)
    return np.asarray(factor * np.asarray(scale) / np.sqrt(np.asarray(sessions)), np.float64)
