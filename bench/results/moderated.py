"""Intervals from few sessions: what the other cells of a stratum say of the spread (pure).

Two or three sessions hardly tell how much sessions differ. But cells that compare the same engines
in the same way differ from session to session alike, because it is the processes' luck that makes
them differ. So a cell's variance is moderated, as limma does with the variances of genes: a prior
variance, from what is known and from the other cells, counts as some further sessions.

Source: Smyth, Linear Models and Empirical Bayes Methods for Assessing Differential Expression in
Microarray Experiments, Statistical Applications in Genetics and Molecular Biology 3, 2004.

Many differences of a report are judged together: which of them are surely none by luck. Each has a
variance of its own, which three or four sessions hardly tell, and some of many that are nothing
look large. So each variance is moderated by those of the others on the scale of what is measured: a
part that takes longer scatters more. The prior is the geometric mean of the others' relative
variances, in which a single wild one weighs little. Where a sentence says "surely", all differences
of a report hold together (Bonferroni). The bias of a logarithm of a variance is from there too.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rtfbench.base.values import Interval
from rtfbench.results import protocols
from rtfbench.results.stats import ALPHA, Floats, hodges_lehmann

#: How much sessions are assumed to differ, as the standard deviation of a session's log ratio.
SPREAD = 0.009
#: The same where each utterance prepares its model's weights anew, within the clock: 3 % on one
#: host and 8 % on another.
SPREAD_OF_PREPARING = 0.05
#: The prior counts as so many sessions more, at most: cells of a stratum are alike, not the same.
MOST_PRIOR_FREEDOM = 3.0
#: If processes differ by a variance of 1, `v` does by 2 and `u`, in which two are a mean, by 1.5.
OF_GHOST = 0.75
#: The ratio of two cells differs as the ghost's does.
OF_PAIR = 1.0


def prior_spread(*, protocol: str, form: str) -> float:
    """Return how much sessions of a stratum are assumed to differ."""
    preparing = protocols.named(protocol).fresh_session and form == "dynamic"
    return SPREAD_OF_PREPARING if preparing else SPREAD


@dataclass(frozen=True)
class SessionValues:
    """Two values a session, log ratios of times.

    `u` is the candidate against the mean of baseline and ghost, `v` the ghost against the baseline,
    which is the same program: it differs from 0 only as much as the machine misleads. `spikes` is
    what disturbed times add to both where `u` and `v` are without, None where they are with.
    `alone` says that they are of times without those in which others had the core.
    """

    u: tuple[float, ...]
    v: tuple[float, ...]
    spikes: "SessionValues | None" = None
    alone: bool = False

    def __post_init__(self) -> None:
        if len(self.u) != len(self.v):
            raise ValueError(f"{len(self.u)} sessions have a u, {len(self.v)} a v")

    def first(self, sessions: int) -> "SessionValues":
        """Return those of the first sessions."""
        spikes = None if self.spikes is None else self.spikes.first(sessions)
        return SessionValues(self.u[:sessions], self.v[:sessions], spikes, self.alone)

    def minus(self, other: "SessionValues") -> "SessionValues":
        """Return how much more these are than others of the same sessions."""
        u, v = (
            (a - b for a, b in zip(ours, theirs, strict=True))
            for ours, theirs in ((self.u, other.u), (self.v, other.v))
        )
        return SessionValues(tuple(u), tuple(v))


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


#: Times without disturbances are used where they are so many times as steady as all times.
STEADIER = 2.0


def steadier(
    every: SessionValues, quieter: Iterable[SessionValues], *, prior: float
) -> SessionValues:
    """Return the values of all times, or the first without disturbances that are far steadier.

    The ghost tells, which is the baseline: the candidate has no part in the choice.
    """

    def scale(each: SessionValues) -> float:
        squares = sum_of_squares_about_zero(each.v)
        return float(ghost_scale(squares, len(each.v), 0.0, 0, prior=prior))

    most = scale(every) / STEADIER
    return next((each for each in quieter if scale(each) < most), every)


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


def sum_of_squares_about_zero(values: Sequence[float]) -> float:
    """Return the squared distances from 0, summed: of values whose mean is known to be that."""
    return math.fsum(value**2 for value in values)


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
    share: float = OF_GHOST,
) -> Floats:
    """Return how much sessions of `u` should differ by what the ghost's do, of any many cells.

    Ghost and baseline are one program, so the mean of `v` is known to be 0, and every session
    counts whole. The sums of squares are those of `v`, about 0; `share` is the variance of what is
    judged, over that of `v`.
    """
    scale, _ = moderated_scale(
        share * np.asarray(squares, np.float64),
        np.asarray(sessions, np.float64) + 1,
        share * np.asarray(other_squares, np.float64),
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


#: How often any of a report's differences may be called sure though there is none: half of the
#: percent that is promised, because spreads of groups that differ much double it (simulated).
ALPHA_TOGETHER = 0.005


@dataclass(frozen=True)
class Difference:
    """A difference with its 95 % interval, and whether it is sure among all of its report."""

    interval: Interval
    sure: bool


def judge_together(
    values: Mapping[str, Sequence[float]], sizes: Mapping[str, float], *, family: int
) -> dict[str, Difference]:
    """Return each difference that has two sessions or more.

    Args:
        values: name -> one difference a session.
        sizes: name -> how large the things are that differ, in the same unit.
        family: how many differences the report has in all.
    """
    known = {name: each for name, each in values.items() if len(each) > 1 and sizes[name] > 0}
    relative = {name: sum_of_squares(each) / sizes[name] ** 2 for name, each in known.items()}
    freedoms = {name: len(each) - 1 for name, each in known.items()}
    # The logarithm of a sample variance lies below that of the variance by the last two terms.
    logs = {
        name: math.log(squares / freedoms[name])
        - float(special.digamma(freedoms[name] / 2) - np.log(freedoms[name] / 2))
        for name, squares in relative.items()
        if squares > 0
    }
    found = {}
    for name, each in known.items():
        others = [log for other, log in logs.items() if other != name]
        weight = MOST_PRIOR_FREEDOM if others else 0.0
        prior = math.exp(math.fsum(others) / len(others)) if others else 0.0
        df = weight + freedoms[name]
        scale = sizes[name] * math.sqrt((weight * prior + relative[name]) / df)
        mean = math.fsum(each) / len(each)
        half, sure = (
            float(half_widths(alpha / 2, scale, df, len(each)))
            for alpha in (ALPHA, ALPHA_TOGETHER / family)
        )
        found[name] = Difference((mean - half, mean + half), abs(mean) > sure)
    return found
