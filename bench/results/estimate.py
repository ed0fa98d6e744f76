"""A ratio of times and its interval, from any number of sessions (pure).

Times are compared in pairs, as the difference of logarithms within a block, because a shared
machine drifts by more than engines differ. A ratio then has two levels of noise: from block to
block within a session, and from session to session, because memory layout is luck that only a new
process redraws. With six sessions and more the estimate is Hodges and Lehmann's over all blocks,
and its interval inverts the signed-rank test with sessions as clusters: it is as wide as sessions
differ, whatever the cause, and no spike can widen it much. Fewer sessions allow no such test; there
the ratio is the mean of the sessions' own, and its interval rests on a moderated spread, which is
at least that of the reference against itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rtfbench.base.values import Interval
from rtfbench.results.moderated import (
    OF_PAIR,
    SPREAD,
    Moderated,
    ghost_scale,
    moderated,
    sum_of_squares_about_zero,
)
from rtfbench.results.stats import (
    clustered_signed_rank_interval,
    exponential,
    hodges_lehmann,
    relative_half_width,
    thinned,
)

#: With fewer sessions than this, signed ranks of clusters cannot reach a confidence of 95 %.
SESSIONS_FOR_RANKS = 6
#: Student's distribution is only near that of few clusters' rank sums: with six and a nominal 5 %,
#: 5.5 to 7 % of the intervals miss. With this share of the nominal level 4 to 6 % do (simulated).
FEW_SESSIONS, FEW_SESSIONS_SHARE = 12, 0.8
#: How often any of a run's ratios may be called surely different from 1 though it is not.
ALPHA_TOGETHER = 0.01


@dataclass(frozen=True)
class RatioEstimate:
    """A ratio of times and its interval; `df` are the degrees of freedom behind it.

    `centre` is the mean of the sessions' own on the log scale, with its moderated spread.
    """

    ratio: float
    interval: Interval | None
    blocks: int
    sessions: int
    df: float
    centre: Moderated = field(compare=False, repr=False)

    @property
    def half_width(self) -> float:
        """Half the interval's width, relative: 0.02 is 2 %; infinite without an interval."""
        return relative_half_width(self.interval)

    def together(self, ratios: int) -> Interval | None:
        """Return the interval that holds together with those of all ratios of a run.

        Signed ranks of few sessions reach no such confidence, so it is the moderated one, whatever
        the number of sessions.
        """
        return exponential(self.centre.interval(alpha=ALPHA_TOGETHER / ratios))


def ratio_estimate(
    contrasts_by_session: Sequence[Sequence[float]],
    *,
    alpha: float = 0.05,
    others: Sequence[Sequence[float]] = (),
    prior: float = SPREAD,
    ghost: Sequence[float] = (),
) -> RatioEstimate | None:
    """Estimate a ratio from log contrasts, one sequence a session; None without any.

    Args:
        contrasts_by_session: log(time of the engine / time of the reference), a value a block.
        alpha: how often the interval may miss.
        others: `session_centres` of other ratios whose sessions differ alike; of use where
            sessions are few.
        prior: how much sessions are assumed to differ, a standard deviation.
        ghost: `session_centres` of the reference against itself, in the same sessions: where those
            are few, the engines' may agree by luck, and differ at least as much as these.
    """
    sessions = [session for session in contrasts_by_session if len(session)]
    if not sessions:
        return None
    blocks = sum(map(len, sessions))
    sessions = thinned(sessions)
    centre = moderated(session_centres(sessions), others=others, prior=prior)
    assert centre is not None
    if ghost:
        squares = sum_of_squares_about_zero(ghost)
        least = ghost_scale(squares, len(ghost), 0.0, 0, prior=prior, share=OF_PAIR)
        centre = replace(centre, scale=max(centre.scale, float(least)))
    count = len(sessions)
    if count < SESSIONS_FOR_RANKS:
        interval = exponential(centre.interval(alpha=alpha))
        return RatioEstimate(math.exp(centre.mean), interval, blocks, count, centre.df, centre)
    share = FEW_SESSIONS_SHARE if count < FEW_SESSIONS else 1.0
    interval = exponential(clustered_signed_rank_interval(sessions, alpha=share * alpha))
    middle = hodges_lehmann([value for session in sessions for value in session])
    return RatioEstimate(math.exp(middle), interval, blocks, count, count - 1, centre)


def session_centres(contrasts_by_session: Sequence[Sequence[float]]) -> list[float]:
    """Return each session's own estimate of the log ratio."""
    return [hodges_lehmann(session) for session in contrasts_by_session if len(session)]
