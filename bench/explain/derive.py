"""From what was measured to where the time goes (pure)."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.explain import kinds
from bench.explain.align import align
from bench.explain.graph import Graph
from bench.explain.measure import Profiled
from bench.explain.messages import Profile
from bench.explain.profile_means import mean_of_sessions
from bench.results.contrasts import prior_of
from bench.results.estimate import RatioEstimate, ratio_estimate
from bench.results.explanation import EngineCost, GroupCost, OperatorCost
from bench.results.stats import hodges_lehmann
from engines.protocol import Form

NS_PER_MS = 1e6


def costs(engines: Sequence[Profiled], graphs: Mapping[Form, Graph]) -> tuple[EngineCost, ...]:
    """Return every engine's time, and its operators where the runtime tells of them.

    Args:
        engines: as they were measured; the first that did not fail is what the others are paired
            with.
        graphs: the source graph of each form.
    """
    reference = next((engine for engine in engines if not engine.failed), None)
    return tuple(
        _failed(engine)
        if reference is None or engine.failed
        else _cost(engine, reference, graphs[engine.prepared.cell.form])
        for engine in engines
    )


def _failed(engine: Profiled) -> EngineCost:
    cell = engine.prepared.cell
    return EngineCost(engine=engine.label, form=cell.form, failed=engine.failed)


def _cost(engine: Profiled, reference: Profiled, graph: Graph) -> EngineCost:
    assert engine.opened is not None
    cell = engine.prepared.cell
    ms = statistics.median(ns for blocks in reference.plain_ns for ns in blocks) / NS_PER_MS
    ratio = None if engine is reference else _ratio(engine, reference)
    if ratio is not None:
        ms *= ratio.ratio
    profile = mean_of_sessions(engine.profiles) if engine.profiles else None
    operators = _operators(profile, ms, graph) if profile else ()
    overhead = _overhead(engine)
    return EngineCost(
        engine=engine.label,
        form=cell.form,
        version=engine.opened.version,
        wrong=engine.opened.wrong,
        fewer_operations=engine.opened.fewer_operations,
        load_ms=engine.opened.load_ns / NS_PER_MS,
        ms=ms,
        ratio=ratio.ratio if ratio else None,
        ratio_ci95=ratio.interval if ratio else None,
        sessions=sum(map(bool, engine.plain_ns)),
        blocks=sum(map(len, engine.plain_ns)),
        overhead=overhead,
        told=_told(profile) * overhead if profile and overhead else None,
        operators=operators,
        between_ms=ms - sum(each.ms for each in operators) if profile else None,
    )


def _ratio(engine: Profiled, reference: Profiled) -> RatioEstimate | None:
    """Return how many times as long an engine takes, from blocks that both have."""
    contrasts = [
        [math.log(ours / theirs) for ours, theirs in zip(*blocks, strict=False)]
        for blocks in zip(engine.plain_ns, reference.plain_ns, strict=False)
    ]
    return ratio_estimate(contrasts, prior=prior_of(engine.prepared.cell, reference.prepared.cell))


def _overhead(engine: Profiled) -> float | None:
    """Return a profiled run's time over that of one without, paired in blocks."""
    logs = [
        math.log(with_it / without)
        for blocks in zip(engine.profiled_ns, engine.plain_ns, strict=True)
        for with_it, without in zip(*blocks, strict=True)
    ]
    return math.exp(hodges_lehmann(logs)) if logs else None


def _told(profile: Profile) -> float:
    """Return the share of a profiled run that is in operators."""
    return sum(each.ns for each in profile.operators) / profile.wall_ns


def _operators(profile: Profile, ms: float, graph: Graph) -> tuple[OperatorCost, ...]:
    """Return a profile's operators, scaled so that the whole run takes as long as without it."""
    scale = ms / profile.wall_ns
    return tuple(
        OperatorCost(
            name=each.operator.name,
            operator=each.operator.kind,
            implementation=each.operator.implementation,
            ms=each.operator.ns * scale,
            nodes=tuple(node.name for node in each.nodes),
            kind=each.kind,
            block=each.block,
            macs=each.macs,
        )
        for each in align(graph, profile.operators)
    )


def groups(
    engines: Sequence[EngineCost], name_of: Callable[[OperatorCost], str]
) -> tuple[GroupCost, ...]:
    """Return the time of every group in every engine, the costliest first.

    Args:
        engines: with their operators.
        name_of: the group of an operator.
    """
    times = [_times(engine, name_of) for engine in engines]
    names = dict.fromkeys(name for each in times for name in each)
    found = []
    for name in names:
        macs = [_macs(engine, name_of, name) for engine in engines]
        ms = tuple(
            each.get(name, 0.0) if engine.operators else None
            for engine, each in zip(engines, times, strict=True)
        )
        found.append(
            GroupCost(
                name=name,
                macs=max(macs, default=0) or None,
                ms=ms,
                gflops=tuple(
                    2 * count / took / 1e6 if count and took else None
                    for count, took in zip(macs, ms, strict=True)
                ),
            )
        )
    return tuple(sorted(found, key=lambda group: -max(each or 0.0 for each in group.ms)))


def _times(engine: EngineCost, name_of: Callable[[OperatorCost], str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in engine.operators:
        found[name_of(each)] = found.get(name_of(each), 0.0) + each.ms
    if engine.between_ms is not None:
        found[kinds.FRAMEWORK] = engine.between_ms
    return found


def _macs(engine: EngineCost, name_of: Callable[[OperatorCost], str], name: str) -> int:
    return sum(each.macs or 0 for each in engine.operators if name_of(each) == name)
