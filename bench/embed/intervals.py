"""Intervals of what scores amount to, by resampled speakers, and of what a candidate's scores lose.

A loss of EER or minDCF is against a reference's scores on the same trials. Both are scored on the
same resampled speakers, so that what makes trials hard falls out of the difference.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse, special
from scipy.sparse import csgraph

from rtfbench.base.values import Interval
from rtfbench.embed.scoring import Detection, OperatingPoint
from rtfbench.embed.trials import Trial, Trials
from rtfbench.results.stats import TWO_SIDED_95

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.unsignedinteger[Any]]

RESAMPLES = 1000
#: Resampled, fewer speakers tell nothing of others.
LEAST_SPEAKERS = 10
#: The least cost of the threshold that suits best takes more.
LEAST_SPEAKERS_FOR_COST = 40
_SEED = 0


@dataclass(frozen=True)
class Speakers:
    """Who says the trials' utterances: a number for each name of the trials, as small as can be.

    `alone` counts the speakers of whom there is one utterance, in no target trial: that they are
    speakers of their own is a guess.
    """

    trials: Trials
    count: int
    of_name: Numbers
    alone: int = 0

    def sides(self) -> Iterator[Numbers]:
        """Yield the speakers of the trials' first names, and then of the second ones."""
        for each_N in (self.trials.enroll_N, self.trials.test_N):
            yield self.of_name[each_N]


def speakers(trials: Iterable[Trial], utt2spk: Mapping[str, str] | None = None) -> Speakers:
    """Return the speakers of trials, numbered in the order in which they come first.

    Without `utt2spk`, target trials say which utterances are of one speaker; an utterance in none
    is one of its own.
    """
    found = Trials.of(trials)
    count = len(found.names)
    if utt2spk is None:
        target_N = found.labels_N == 1
        ends = found.enroll_N[target_N], found.test_N[target_N]
        ones = np.ones(len(ends[0]), bool)
        linked = sparse.coo_array((ones, ends), shape=(count, count))
        _, own = csgraph.connected_components(linked, directed=False)
        in_target = np.zeros(count, bool)
        in_target[ends[0]] = in_target[ends[1]] = True
    else:
        known: dict[str, int] = {}
        own = np.array([known.setdefault(utt2spk[n], len(known)) for n in found.names], np.int32)
        in_target = np.ones(count, bool)
    used = np.zeros(count, bool)
    used[found.enroll_N] = used[found.test_N] = True
    # Names stand in the order in which they come first, and so do the speakers then.
    _, places, numbers = np.unique(own[used], return_index=True, return_inverse=True)
    rank = np.empty(len(places), np.int32)
    rank[np.argsort(places)] = np.arange(len(places), dtype=np.int32)
    of_name: Numbers = np.zeros(count, np.min_scalar_type(len(places)))
    of_name[used] = rank[numbers]
    alone = int((used & ~in_target).sum())
    return Speakers(found, len(places), of_name, alone)


def levels(count: int) -> tuple[float, float]:
    """Return between which quantiles of draws of so many speakers 95 % of other draws' truth lies.

    Draws of few speakers scatter too little, and Student's distribution is wider than the normal.

    Source: Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69,
    2015 (the expanded percentile interval).
    """
    half = math.sqrt(count / (count - 1)) * float(special.stdtrit(count - 1, 0.975))
    low = float(special.ndtr(-half))
    return low, 1 - low


def normal(value: float, drawn: Sequence[float]) -> tuple[float, float]:
    """Return the normal interval of a figure, as wide as its draws lie apart."""
    half = TWO_SIDED_95 * float(np.std(drawn, ddof=1))
    return value - half, value + half


def draws(count: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Yield how often each of so many speakers is drawn, with replacement."""
    rng = np.random.default_rng(_SEED)
    for _ in range(resamples):
        yield np.bincount(rng.integers(count, size=count), minlength=count).astype(float)


class Intervals(NamedTuple):
    """95 % intervals as shares; `miss` and `false_alarm` are those of one threshold.

    That of minDCF is None where there are too few speakers for it. `alone` of the speakers are
    utterances in no target trial, of which nobody said whose they are.
    """

    speakers: int
    eer: Interval
    min_dcf: Interval | None
    miss: Interval | None = None
    false_alarm: Interval | None = None
    alone: int = 0


def intervals(
    trials: Iterable[Trial],
    scores: npt.ArrayLike,
    *,
    p_target: float,
    point: OperatingPoint | None = None,
    resamples: int = RESAMPLES,
    utt2spk: Mapping[str, str] | None = None,
) -> Intervals | None:
    """Return how far EER, minDCF and a threshold's rates may lie with other speakers.

    Args:
        trials: labelled ones of both kinds.
        scores: one a trial.
        p_target: the prior of minDCF.
        point: the threshold, if any.
        resamples: how many draws of speakers; one without trials of both kinds is left out.
        utt2spk: whose the utterances are, where more than the target trials tells.

    Returns:
        None where there are too few speakers.
    """
    columns = Trials.of(trials)
    found = speakers(columns, utt2spk)
    if found.count < LEAST_SPEAKERS:
        return None
    detection = Detection(scores, columns.labels_N == 1, found.sides())
    drawn: list[list[float]] = []
    for each in draws(found.count, resamples):
        figures = detection.figures(each, p_target=p_target)
        if figures is not None:
            more = () if point is None else detection.at(point.threshold, each)[1:]
            drawn.append([*figures, *more])
    ends = [
        (float(low), float(high)) for low, high in np.quantile(drawn, levels(found.count), axis=0).T
    ]
    cost = None
    if found.count >= LEAST_SPEAKERS_FOR_COST:
        figures = detection.figures(p_target=p_target)
        assert figures is not None
        costs = [each[1] for each in drawn]
        # A least cost of resampled speakers is lower than that of others, and quantiles of the
        # draws would miss the truth below: what draws are off on average is taken off.
        low, high = normal(2 * figures[1] - float(np.mean(costs)), costs)
        cost = max(low, 0.0), min(high, 1.0)
    miss, false_alarm = ends[2:] or (None, None)
    return Intervals(found.count, ends[0], cost, miss, false_alarm, found.alone)


class Loss(NamedTuple):
    """How much higher a figure of the candidate is, with its 95 % interval."""

    loss: float
    low: float
    high: float


#: A loss of half the interval's width is told from none in half of all cases only; one so many
#: times as large in four of five.
TOLD = 1.5


def resolved(loss: Loss) -> float:
    """Return the smallest loss that these trials tell from none in most cases."""
    return TOLD * (loss.high - loss.low) / 2


def unresolved(loss: Loss, *, allowed: float, trials: int) -> str:
    """Say that a loss is not known to be what is allowed, a share, and which trials would tell."""
    least = resolved(loss)
    limit, told = 100 * allowed, 100 * least
    text = f"not known to be within {limit:g}, {trials} trials resolve {told:.2f} points"
    if not 0 < allowed < least:
        return text
    # Intervals narrow with the root of the speakers.
    return f"{text}, and {(least / allowed) ** 2:.1f} times as many speakers would resolve that"


class Losses(NamedTuple):
    """Of the EER, as a share (0.001 for 0.1 points), and of the normalised minDCF.

    That of minDCF is None where there are too few speakers for it.
    """

    eer: Loss
    min_dcf: Loss | None


def losses(
    trials: Iterable[Trial],
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    resamples: int = RESAMPLES,
    utt2spk: Mapping[str, str] | None = None,
) -> Losses | None:
    """Compare two systems' scores of the same labelled trials; None of too few speakers."""
    columns = Trials.of(trials)
    found = speakers(columns, utt2spk)
    if found.count < LEAST_SPEAKERS:
        return None
    labels = columns.labels_N == 1
    before, after = (Detection(scores, labels, found.sides()) for scores in (reference, candidate))

    def difference(drawn: Floats | None) -> Floats | None:
        lost, kept = after.figures(drawn), before.figures(drawn)
        return None if lost is None or kept is None else np.subtract(lost, kept)

    known = difference(None)
    assert known is not None
    eer, cost = known.tolist()
    lost = [each for drawn in draws(found.count, resamples) for each in [difference(drawn)]]
    eers, costs = np.array([each for each in lost if each is not None]).T
    # Both costs are lower in draws, and the difference is not: corrected, 80 to 94 % would hold.
    return Losses(
        Loss(eer, *np.quantile(eers, levels(found.count)).tolist()),
        Loss(cost, *normal(cost, costs)) if found.count >= LEAST_SPEAKERS_FOR_COST else None,
    )


class Shifts(NamedTuple):
    """How much higher the candidate's scores are, on average of target and of nontarget trials.

    Of fewer speakers than intervals take, both ends are the mean itself.
    """

    target: Loss
    nontarget: Loss


def shifts(
    trials: Iterable[Trial],
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    resamples: int = RESAMPLES,
    utt2spk: Mapping[str, str] | None = None,
) -> Shifts:
    """Compare two systems' scores of the same labelled trials of both kinds, by resampled speakers.

    A target trial counts as often as its speaker is drawn, a nontarget trial as both of its are.
    """
    columns = Trials.of(trials)
    found = speakers(columns, utt2spk)
    more_N = np.asarray(candidate, np.float64) - np.asarray(reference, np.float64)
    first_N, second_N = found.sides()
    target_N = columns.labels_N == 1
    size = (found.count, found.count)
    if found.count < LEAST_SPEAKERS:
        resamples = 0

    def shift(of_kind_N: npt.NDArray[np.bool_], *, is_target: bool) -> Loss:
        ends = first_N[of_kind_N], second_N[of_kind_N]
        sums = sparse.csr_array((more_N[of_kind_N], ends), shape=size)
        counts = sparse.csr_array((np.ones(len(ends[0])), ends), shape=size)
        mean, means = float(more_N[of_kind_N].mean()), []
        for each in draws(found.count, resamples):
            # Both of a target trial's are one speaker, who counts once.
            other = np.ones(found.count) if is_target else each
            if bottom := float(each @ (counts @ other)):
                means.append(float(each @ (sums @ other)) / bottom)
        ends_95 = np.quantile(means, levels(found.count)).tolist() if means else (mean, mean)
        return Loss(mean, *ends_95)

    return Shifts(shift(target_N, is_target=True), shift(~target_N, is_target=False))
