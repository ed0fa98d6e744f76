"""The typical run among many profiled ones (pure).

On a machine that others use, now this operator and now that takes too long, and for seconds at a
time all of them do. So what counts is an operator's share of its run, and of that the median over
runs. Medians of shares add up to about 1; they are scaled to do so.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rtfbench.engines.profiling import OperatorTime, ProfiledRun
from rtfbench.explain.process import Profile

#: An operator's name and type, and how many of these came before in its run.
Key = tuple[str, str, int]


def typical(runs: Sequence[ProfiledRun]) -> Profile:
    """Return one run that stands for all of a session.

    Args:
        runs: one at least.
    """
    keyed = [_keyed(run.operators) for run in runs]
    sums_ns = [sum(each.ns for each in run.values()) for run in keyed]
    shares = {
        key: statistics.median(
            run[key].ns / whole if key in run else 0.0
            for run, whole in zip(keyed, sums_ns, strict=True)
        )
        for key in _first(keyed)
    }
    wall_ns = statistics.median(run.wall_ns for run in runs)
    told = statistics.median(whole / run.wall_ns for whole, run in zip(sums_ns, runs, strict=True))
    scale = told * wall_ns / sum(shares.values())
    return Profile(
        wall_ns=round(wall_ns),
        runs=len(runs),
        operators=tuple(
            replace(each, ns=round(scale * shares[key])) for key, each in _first(keyed).items()
        ),
    )


def mean_of(profiles: Sequence[Profile]) -> Profile:
    """Return the mean of several sessions, each of which counts the same."""
    keyed = [_keyed(profile.operators) for profile in profiles]
    count = len(profiles)
    return Profile(
        wall_ns=round(sum(profile.wall_ns for profile in profiles) / count),
        runs=sum(profile.runs for profile in profiles),
        operators=tuple(
            replace(each, ns=round(sum(run[key].ns for run in keyed if key in run) / count))
            for key, each in _first(keyed).items()
        ),
    )


def _keyed(operators: Sequence[OperatorTime]) -> dict[Key, OperatorTime]:
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, OperatorTime] = {}
    for each in operators:
        found[each.name, each.kind, seen[each.name, each.kind]] = each
        seen[each.name, each.kind] += 1
    return found


def _first(keyed: Sequence[Mapping[Key, OperatorTime]]) -> dict[Key, OperatorTime]:
    """Return every operator as it was first seen, in the order of computing."""
    found: dict[Key, OperatorTime] = {}
    for run in keyed:
        for key, each in run.items():
            found.setdefault(key, each)
    return found
