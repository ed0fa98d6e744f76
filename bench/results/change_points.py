"""Where the level of a ratio moved in the history of one host, and how surely (pure).

A run's log ratio scatters about its level by a known standard deviation: that of its own interval,
and what the hours of a host make of any ratio. Levels are the segmentation that costs least: the
squared distances to each segment's mean, in units of that deviation, and a penalty for each change.
The penalty is a quantile of chi squared, so that a change is seen where there is none in 5 % of all
histories (Bonferroni over the places and the ratios), where the hours of runs are independent. A
run that stands alone is no level. A straight line is tried against steps before these are told.

Source: Killick, Fearnhead and Eckley, Optimal Detection of Changepoints With a Linear Computational
Cost, 2012 (PELT), by the library ruptures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import special

from rtfbench.base.values import Interval
from rtfbench.results.same_host import BETWEEN_HOURS
from rtfbench.results.stats import TWO_SIDED_95

#: How often any change is seen in histories that have none.
ALPHA = 0.05
#: A level is of so many runs at least: one that is off may be an hour, two are not.
FEWEST_A_LEVEL = 2
#: In fewer runs none is looked for: they do not tell how far runs of this host scatter.
FEWEST_RUNS = 6
#: How many times less likely than the likeliest a place is that is ruled out.
LIKELIER = 20
#: The median distance of a normal value to its mean, in standard deviations.
MEDIAN_DISTANCE = float(special.ndtri(0.75))


@dataclass(frozen=True)
class MeasuredRatio:
    """A run's ratio with its 95 % interval."""

    ratio: float
    ci95: Interval

    @property
    def log(self) -> float:
        """The logarithm of the ratio."""
        return math.log(self.ratio)

    @property
    def own_sd(self) -> float:
        """The standard deviation of the logarithm that the interval tells."""
        return math.log(self.ci95[1] / self.ci95[0]) / 2 / TWO_SIDED_95


@dataclass(frozen=True)
class Plateau:
    """Runs that share a ratio, by their places in the history; `sd` is of its logarithm."""

    runs: tuple[int, ...]
    log: float
    sd: float

    @property
    def ratio(self) -> float:
        """The ratio that they share."""
        return math.exp(self.log)


@dataclass(frozen=True)
class Segmentation:
    """The levels of a history in the order of time, and the runs that stand alone.

    Those are far from the runs on both sides: an hour, or the first run of a change. Where a
    straight line says as much with fewer figures than steps do, there is one level and a `trend`:
    how many times the first run the last one is, with its 95 % interval.
    """

    levels: tuple[Plateau, ...] = ()
    alone: tuple[int, ...] = ()
    trend: tuple[float, Interval] | None = None


def search(runs: Sequence[MeasuredRatio], *, series: int = 1) -> Segmentation:
    """Return the levels of a history; one where nothing changed, none of too few runs.

    Args:
        runs: in the order of time, all of one host.
        series: how many histories are searched together.

    Raises:
        ImportError: ruptures is not installed.
    """
    if len(runs) < FEWEST_RUNS:
        return Segmentation()
    sd = scatter(runs)
    price = penalty(len(runs), series)
    kept = list(range(len(runs)))
    while kept:
        # A run that stands alone may hide that both sides of it are one level, so search again.
        segments = _segments([runs[i] for i in kept], [sd[i] for i in kept], price)
        parts = [kept[start:stop] for start, stop in segments]
        left = [i for part in parts if len(part) >= FEWEST_A_LEVEL for i in part]
        if left == kept:
            alone = tuple(sorted(set(range(len(runs))) - set(kept)))
            levels = tuple(_level(runs, sd, part) for part in parts)
            if len(levels) > 1 and _is_line(runs, sd, parts, price):
                return Segmentation((_level(runs, sd, kept),), alone, _trend(runs, sd, kept))
            return Segmentation(levels, alone)
        kept = left
    return Segmentation(alone=tuple(range(len(runs))))


def penalty(count: int, series: int = 1) -> float:
    """Return what a change in a history of so many runs costs."""
    return float(special.chdtri(1, ALPHA / (count - 1) / series))


def step(before: Plateau, after: Plateau) -> tuple[float, Interval]:
    """Return how many times as much a level is as the one before, with its 95 % interval."""
    moved = after.log - before.log
    half = TWO_SIDED_95 * math.hypot(before.sd, after.sd)
    return math.exp(moved), (math.exp(moved - half), math.exp(moved + half))


def around(runs: Sequence[MeasuredRatio], before: Plateau, after: Plateau) -> tuple[int, int]:
    """Return between which two runs a step lies: the last before it for sure, and the first after.

    Where it was found is likeliest. Other places count in that are not twenty times less likely.
    """
    sd = scatter(runs)
    both = [*before.runs, *after.runs]
    costs = [_spread(runs, sd, both[:k]) + _spread(runs, sd, both[k:]) for k in range(1, len(both))]
    allowed = min(costs) + 2 * math.log(LIKELIER)
    places = [k for k, cost in enumerate(costs, start=1) if cost <= allowed]
    return both[places[0] - 1], both[places[-1]]


def scatter(runs: Sequence[MeasuredRatio]) -> list[float]:
    """Return the standard deviation of each run's logarithm about its level.

    It is that of the run's interval and of what hours make of a ratio; all are widened by one
    factor where the steps from run to run are larger than these tell (the scale factor of the
    Particle Data Group, of medians). A change is one step among many, which their median ignores.
    """
    told = [math.hypot(run.own_sd, BETWEEN_HOURS) for run in runs]
    steps = [
        abs(runs[i].log - runs[j].log) / math.hypot(told[i], told[j])
        for i, j in pairwise(range(len(runs)))
    ]
    factor = max(float(np.median(steps)) / MEDIAN_DISTANCE, 1.0) if steps else 1.0
    return [factor * sd for sd in told]


def _level(runs: Sequence[MeasuredRatio], sd: Sequence[float], places: Sequence[int]) -> Plateau:
    weights = [1 / sd[i] ** 2 for i in places]
    mean = sum(w * runs[i].log for w, i in zip(weights, places, strict=True)) / sum(weights)
    return Plateau(tuple(places), mean, 1 / math.sqrt(sum(weights)))


def _spread(runs: Sequence[MeasuredRatio], sd: Sequence[float], places: Sequence[int]) -> float:
    """Return the squared distances of runs to their level, in units of their scatter."""
    level = _level(runs, sd, places)
    return sum(((runs[i].log - level.log) / sd[i]) ** 2 for i in places)


def _is_line(
    runs: Sequence[MeasuredRatio], sd: Sequence[float], parts: Sequence[Sequence[int]], price: float
) -> bool:
    """Say whether a straight line costs less than levels: it has one figure, a step costs each."""
    places = [place for part in parts for place in part]
    steps = sum(_spread(runs, sd, part) for part in parts) + price * (len(parts) - 1)
    slope, _ = _slope(runs, sd, places)
    level, middle = _level(runs, sd, places), _middle(sd, places)
    line = sum(((runs[i].log - level.log - slope * (i - middle)) / sd[i]) ** 2 for i in places)
    return line + price < steps


def _trend(
    runs: Sequence[MeasuredRatio], sd: Sequence[float], places: Sequence[int]
) -> tuple[float, Interval]:
    slope, error = _slope(runs, sd, places)
    span = places[-1] - places[0]
    moved, half = slope * span, TWO_SIDED_95 * error * span
    return math.exp(moved), (math.exp(moved - half), math.exp(moved + half))


def _slope(
    runs: Sequence[MeasuredRatio], sd: Sequence[float], places: Sequence[int]
) -> tuple[float, float]:
    """Return by how much the logarithm grows from run to run, and its standard deviation."""
    middle = _middle(sd, places)
    spread = sum(((i - middle) / sd[i]) ** 2 for i in places)
    slope = sum((i - middle) * runs[i].log / sd[i] ** 2 for i in places) / spread
    return slope, 1 / math.sqrt(spread)


def _middle(sd: Sequence[float], places: Sequence[int]) -> float:
    weights = [1 / sd[i] ** 2 for i in places]
    return sum(w * i for w, i in zip(weights, places, strict=True)) / sum(weights)


def _segments(
    runs: Sequence[MeasuredRatio], sd: Sequence[float], price: float
) -> list[tuple[int, int]]:
    """Return where each segment starts and stops."""
    from ruptures import Pelt

    signal = np.array([run.log for run in runs]).reshape(-1, 1)
    pelt = Pelt(custom_cost=_cost(np.array(sd)), min_size=1, jump=1)
    ends = [int(end) for end in pelt.fit(signal).predict(pen=price)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _cost(sd: "np.ndarray[Any, Any]") -> Any:
    """Return what a segment costs: squared distances to its mean, in units of each run's scatter.

    The library's own costs weigh all runs alike.
    """
    from ruptures.base import BaseCost

    weights = np.concatenate([[0.0], np.cumsum(1 / sd**2)])

    class KnownScatter(BaseCost):  # type: ignore[misc]  # the library has no types
        model = "known scatter"
        min_size = 1

        def fit(self, signal: "np.ndarray[Any, Any]") -> "KnownScatter":
            self.signal = signal
            # Logarithms about their middle: sums of squares would lose digits.
            centred = (signal - np.median(signal)).ravel()
            self.first = np.concatenate([[0.0], np.cumsum(centred / sd**2)])
            self.second = np.concatenate([[0.0], np.cumsum(centred**2 / sd**2)])
            return self

        def error(self, start: int, end: int) -> float:
            total = float(weights[end] - weights[start])
            first = float(self.first[end] - self.first[start])
            return float(self.second[end] - self.second[start]) - first**2 / total

    return KnownScatter()
