"""How much an hour moves a ratio of one host: the same run, repeated over hours."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from rtfbench.report.markdown import grid
from rtfbench.results.host import BETWEEN_HOURS
from rtfbench.results.rows import Ratio, Summary

#: A two-sided 95 % interval is so many standard deviations wide, to either side.
NORMAL = 1.96


@dataclass(frozen=True)
class Repeated:
    """One ratio in several runs: logarithms of the ratio, and the spread that each run states."""

    name: str
    logs: tuple[float, ...]
    stated: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The standard deviation from run to run."""
        return statistics.stdev(self.logs)

    @property
    def own(self) -> float:
        """The part of it that the runs' own intervals let expect."""
        return math.sqrt(statistics.fmean(each**2 for each in self.stated))


def repeated(runs: Sequence[Summary]) -> list[Repeated]:
    """Return every ratio that all runs have with an interval."""
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        for ratio in run.ratios:
            if ratio.ci95 is not None:
                half = math.log(ratio.ci95[1] / ratio.ci95[0]) / 2
                values = (math.log(ratio.ratio), half / NORMAL)
                found.setdefault(_name(ratio), []).append(values)
    return [
        Repeated(name, tuple(log for log, _ in values), tuple(own for _, own in values))
        for name, values in found.items()
        if len(values) == len(runs) > 1
    ]


def between_hours(ratios: Sequence[Repeated]) -> float:
    """Return the standard deviation between hours: what is left of the spread over all ratios.

    By moments: the mean variance from run to run, less the mean that the runs state themselves.
    """
    left = [each.spread**2 - each.own**2 for each in ratios]
    return math.sqrt(max(statistics.fmean(left), 0.0))


def at_most(ratios: Sequence[Repeated]) -> float:
    """Return what that may be at most (95 %, one-sided): few runs bound it loosely.

    The spread is taken as normal, all ratios as independent.
    """
    freedom = sum(len(each.logs) - 1 for each in ratios)
    total = sum(each.spread**2 * (len(each.logs) - 1) for each in ratios)
    own = statistics.fmean(each.own**2 for each in ratios)
    return math.sqrt(max(total / float(special.chdtri(freedom, 0.95)) - own, 0.0))


def section(runs: Sequence[Summary], host: str) -> str:
    """Return what repeated runs say."""
    ratios = repeated(runs)
    began = [run.environment.started_utc for run in runs]
    lines = [["ratio", "runs", "median", "spread from run to run", "of it stated by the runs"]]
    lines += [
        [
            each.name,
            str(len(each.logs)),
            f"{math.exp(statistics.median(each.logs)):.3f}",
            f"{each.spread:.2%}",
            f"{each.own:.2%}",
        ]
        for each in ratios
    ]
    table = grid(lines, [False, *[True] * 4])
    return f"""
The same comparison, {len(runs)} times between {min(began)} and
{max(began)}; each ratio is to the first engine of its model. Spreads are
standard deviations of the logarithm.

{table}

Between hours, over all {len(ratios)} ratios: {between_hours(ratios):.2%} more than the runs state
themselves, at most {at_most(ratios):.2%} (95 %). Comparisons of finished runs allow for
{BETWEEN_HOURS:.2%}.

Host: {host}
"""


def _name(ratio: Ratio) -> str:
    return (
        f"{ratio.model}, {ratio.engine} {ratio.form} / {ratio.reference}, {ratio.protocol}, "
        f"{ratio.chunk_samples}"
    )
