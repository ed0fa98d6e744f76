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
from rtfbench.results.host import BETWEEN_HOURS
from rtfbench.results.stats import TWO_SIDED_95, Floats

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

    Runs are in the order of time, all of one host; `series` histories are searched together.

    Raises:
        ImportError: ruptures is not installed.
    """
    if len(runs) < FEWEST_RUNS:
        return Segmentation()
    logs, sd = _logs(runs), scatter(runs)
    price = penalty(len(runs), series)
    kept = list(range(len(runs)))
    while kept:
        # A run that stands alone may hide that both sides of it are one level, so search again.
        ends = _ends(logs[kept], sd[kept], price)
        parts = [kept[start:end] for start, end in pairwise([0, *ends])]
        left = [i for part in parts if len(part) >= FEWEST_A_LEVEL for i in part]
        if left == kept:
            alone = tuple(sorted(set(range(len(runs))) - set(kept)))
            trend = _trend(logs, sd, parts, price) if len(parts) > 1 else None
            levels = (_level(logs, sd, part) for part in ([kept] if trend else parts))
            return Segmentation(tuple(levels), alone, trend)
        kept = left
    return Segmentation(alone=tuple(range(len(runs))))


def penalty(count: int, series: int = 1) -> float:
    """Return what a change in a history of so many runs costs."""
    return float(special.chdtri(1, ALPHA / (count - 1) / series))


def step(before: Plateau, after: Plateau) -> tuple[float, Interval]:
    """Return how many times as much a level is as the one before, with its 95 % interval."""
    return _factor(after.log - before.log, math.hypot(before.sd, after.sd))


def _factor(log: float, sd: float) -> tuple[float, Interval]:
    half = TWO_SIDED_95 * sd
    return math.exp(log), (math.exp(log - half), math.exp(log + half))


def around(runs: Sequence[MeasuredRatio], before: Plateau, after: Plateau) -> tuple[int, int]:
    """Return between which two runs a step lies: the last before it for sure, and the first after.

    Where it was found is likeliest. Other places count in that are not twenty times less likely.
    """
    logs, sd = _logs(runs), scatter(runs)
    both = [*before.runs, *after.runs]
    costs = [_spread(logs, sd, both[:k]) + _spread(logs, sd, both[k:]) for k in range(1, len(both))]
    allowed = min(costs) + 2 * math.log(LIKELIER)
    places = [k for k, cost in enumerate(costs, start=1) if cost <= allowed]
    return both[places[0] - 1], both[places[-1]]


def scatter(runs: Sequence[MeasuredRatio]) -> Floats:
    """Return the standard deviation of each run's logarithm about its level.

    It is that of the run's interval and of what hours make of a ratio; all are widened by one
    factor where the steps from run to run are larger than these tell (the scale factor of the
    Particle Data Group, of medians). A change is one step among many, which their median ignores.
    """
    told = np.hypot([run.own_sd for run in runs], BETWEEN_HOURS)
    steps = np.abs(np.diff(_logs(runs))) / np.hypot(told[1:], told[:-1])
    factor = max(float(np.median(steps)) / MEDIAN_DISTANCE, 1.0) if len(steps) else 1.0
    return np.asarray(factor * told, np.float64)


def _logs(runs: Sequence[MeasuredRatio]) -> Floats:
    return np.log([run.ratio for run in runs])


def _level(logs: Floats, sd: Floats, places: Sequence[int]) -> Plateau:
    weights = 1 / sd[places] ** 2
    mean = float(np.average(logs[places], weights=weights))
    return Plateau(tuple(places), mean, 1 / math.sqrt(weights.sum()))


def _spread(logs: Floats, sd: Floats, places: Sequence[int]) -> float:
    """Return the squared distances of runs to their level, in units of their scatter."""
    level = _level(logs, sd, places)
    return float((((logs[places] - level.log) / sd[places]) ** 2).sum())


def _trend(
    logs: Floats, sd: Floats, parts: Sequence[Sequence[int]], price: float
) -> tuple[float, Interval] | None:
    """Return how many times the first run the last one is, None where levels cost less than a line.

    A line has one figure, and a step costs each.
    """
    places = np.concatenate(parts)
    steps = sum(_spread(logs, sd, part) for part in parts) + price * (len(parts) - 1)
    line, errors = np.polyfit(places, logs[places], 1, w=1 / sd[places], cov="unscaled")
    off = (logs[places] - np.polyval(line, places)) / sd[places]
    if (off**2).sum() + price >= steps:
        return None
    span = float(places[-1] - places[0])
    return _factor(line[0] * span, math.sqrt(errors[0, 0]) * span)


def _ends(logs: Floats, sd: Floats, price: float) -> list[int]:
    """Return where each segment ends."""
    from ruptures import Pelt

    pelt = Pelt(custom_cost=_cost(sd), min_size=1, jump=1)
    return [int(end) for end in pelt.fit(logs.reshape(-1, 1)).predict(pen=price)]


def _cost(sd: Floats) -> Any:
    """Return what a segment costs: squared distances to its mean, in units of each run's scatter.

    The library's own costs weigh all runs alike.
    """
    from ruptures.base import BaseCost

    weights = np.concatenate([[0.0], np.cumsum(1 / sd**2)])

    class KnownScatter(BaseCost):  # type: ignore[misc]  # the library has no types
        model = "known scatter"
        min_size = 1

        def fit(self, signal: Floats) -> "KnownScatter":
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
