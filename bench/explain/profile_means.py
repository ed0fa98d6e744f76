"""The mean of many profiled runs (pure)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.explain.messages import Profile
from engines.profiling import OperatorTime, ProfiledRun

#: A machine that others use too adds time and never takes any: the slower runs are left out.
KEPT = 0.5


def mean_of(runs: Sequence[ProfiledRun]) -> Profile:
    """Return the mean of the faster half of the runs: its operators add up as those of a run do.

    Args:
        runs: one at least, of the same operators.
    """
    kept = sorted(runs, key=lambda run: run.wall_ns)[: max(round(KEPT * len(runs)), 1)]
    return Profile(
        wall_ns=round(sum(run.wall_ns for run in kept) / len(kept)),
        runs=len(kept),
        operators=_means([run.operators for run in kept]),
    )


def mean_of_sessions(profiles: Sequence[Profile]) -> Profile:
    """Return the mean of several sessions' profiles, each of which counts the same."""
    return Profile(
        wall_ns=round(sum(each.wall_ns for each in profiles) / len(profiles)),
        runs=sum(each.runs for each in profiles),
        operators=_means([each.operators for each in profiles]),
    )


def _means(runs: Sequence[Sequence[OperatorTime]]) -> tuple[OperatorTime, ...]:
    """Return every operator with its mean time; one that a run does not have took none there."""
    first: dict[tuple[str, str, int], OperatorTime] = {}
    spent_ns: Counter[tuple[str, str, int]] = Counter()
    for operators in runs:
        seen: Counter[tuple[str, str]] = Counter()
        for each in operators:
            key = (each.name, each.kind, seen[each.name, each.kind])
            seen[each.name, each.kind] += 1
            first.setdefault(key, each)
            spent_ns[key] += each.ns
    return tuple(replace(each, ns=round(spent_ns[key] / len(runs))) for key, each in first.items())
