"""From what was measured to where the time goes (pure)."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rtfbench.engines.protocol import Form
from rtfbench.explain import read_graph
from rtfbench.explain.align import align
from rtfbench.explain.measure import Profiled
from rtfbench.explain.process import Profile, mean_of
from rtfbench.explain.read_graph import Graph
from rtfbench.results.contrasts import prior_of
from rtfbench.results.estimate import ratio_estimate, session_centres
from rtfbench.results.explanation import EngineCost, GroupCost, OperatorCost
from rtfbench.results.moderated import Difference, judge_together
from rtfbench.results.stats import hodges_lehmann

NS_PER_MS = 1e6
#: The same times are grouped by kind and by part of the model.
GROUPINGS = 2
#: Times of blocks, a list a session.
Blocks = Sequence[Sequence[float]]
#: Of what an operator is grouped by.
NameOf = Callable[[OperatorCost], str]


@dataclass(frozen=True)
class Costs:
    """An engine's time, and its operators session by session, which tell how sure that is."""

    engine: EngineCost
    sessions: tuple["SessionCost", ...] = ()


@dataclass(frozen=True)
class SessionCost:
    """The time of one session, in milliseconds a run: operators, and what is between them."""

    operators: tuple[OperatorCost, ...]
    between_ms: float


def costs(engines: Sequence[Profiled], graphs: Mapping[Form, Graph]) -> list[Costs]:
    """Return every engine's time, and its operators where the runtime tells of them.

    The first with a profile is what the others are paired with, or the first with times where no
    runtime tells of operators. There is a source graph of each form.
    """
    alive = [engine for engine in engines if not engine.failed]
    reference = next(iter([*(engine for engine in alive if engine.profiles), *alive]), None)
    return [_costs(each, reference, graphs[each.prepared.cell.form]) for each in engines]


def _costs(engine: Profiled, reference: Profiled | None, graph: Graph) -> Costs:
    cell = engine.prepared.cell
    label, form, precision = engine.label, cell.form, cell.precision
    if reference is None or engine.failed:
        return Costs(EngineCost(engine=label, form=form, precision=precision, failed=engine.failed))
    assert engine.opened is not None
    level_ms = statistics.median(ns for blocks in reference.plain_ns for ns in blocks) / NS_PER_MS
    contrasts = _logs(engine.plain_ns, reference.plain_ns)
    ratio = None
    if engine is not reference:
        ratio = ratio_estimate(contrasts, prior=prior_of(cell, reference.prepared.cell))
    ms = level_ms * (ratio.ratio if ratio else 1.0)
    profile = mean_of(engine.profiles) if engine.profiles else None
    whole = _session(profile, ms, graph) if profile else None
    overhead = told = None
    if profile:
        # A profiled run's time over that of one without, and the share of it in operators.
        logs = _logs(engine.profiled_ns, engine.plain_ns)
        overhead = math.exp(hodges_lehmann([each for session in logs for each in session]))
        told = sum(each.ns for each in profile.operators) / profile.wall_ns * overhead
    cost = EngineCost(
        engine=label,
        form=form,
        precision=precision,
        version=engine.opened.version,
        wrong=engine.opened.wrong,
        fewer_operations=engine.opened.fewer_operations,
        load_ms=engine.opened.load_ns / NS_PER_MS,
        ms=ms,
        ratio=ratio.ratio if ratio else None,
        ratio_ci95=ratio.interval if ratio else None,
        sessions=len(contrasts),
        blocks=sum(map(len, contrasts)),
        overhead=overhead,
        told=told,
        operators=whole.operators if whole else (),
        between_ms=whole.between_ms if whole else None,
    )
    ratios = map(math.exp, session_centres(contrasts))
    pairs = list(zip(engine.profiles, ratios, strict=True)) if profile else []
    return Costs(cost, tuple(_session(each, level_ms * one, graph) for each, one in pairs))


def _logs(
    ours_ns: Sequence[Sequence[float]], theirs_ns: Sequence[Sequence[float]]
) -> list[list[float]]:
    """Return log(ours / theirs) block by block, a list a session; both have the same blocks."""
    return [
        [math.log(ours / theirs) for ours, theirs in zip(*blocks, strict=True)]
        for blocks in zip(ours_ns, theirs_ns, strict=True)
    ]


def _session(profile: Profile, ms: float, graph: Graph) -> SessionCost:
    """Return a profile's operators, scaled so that the whole run takes as long as without it."""
    scale = ms / profile.wall_ns
    operators = tuple(
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
    return SessionCost(operators, ms - sum(each.ms for each in operators))


def groups(engines: Sequence[Costs], name_of: NameOf) -> tuple[GroupCost, ...]:
    """Return the time of every group in every engine, the costliest first.

    Engines without operators take no part.
    """
    spent = [_spent(each.engine, name_of) for each in engines]
    sessions = [[_spent(session, name_of) for session in each.sessions] for each in engines]
    first = next((place for place, each in enumerate(spent) if each), 0)
    found = []
    names = list(dict.fromkeys(name for each in spent for name in each))
    others = sum(map(bool, spent)) - 1
    family = max(GROUPINGS * len(names) * others, 1)
    judged = [
        {}
        if each is sessions[first]
        else _differences(each, sessions[first], (took, spent[first]), names, family)
        for each, took in zip(sessions, spent, strict=True)
    ]
    for name in names:
        ms = [each.get(name, 0.0) if each else None for each in spent]
        macs = [
            sum(each.macs or 0 for each in one.engine.operators if name_of(each) == name)
            for one in engines
        ]
        found.append(
            GroupCost(
                name=name,
                macs=max(macs, default=0) or None,
                ms=tuple(ms),
                more_ms=tuple(None if each is None else each - (ms[first] or 0.0) for each in ms),
                more_ci95=tuple(each[name].interval if name in each else None for each in judged),
                surely=tuple(name in each and each[name].sure for each in judged),
                gflops=tuple(
                    2 * count / took / 1e6 if count and took else None
                    for count, took in zip(macs, ms, strict=True)
                ),
            )
        )
    return tuple(sorted(found, key=lambda group: -max(each or 0.0 for each in group.ms)))


def _spent(cost: EngineCost | SessionCost, name_of: NameOf) -> dict[str, float]:
    """Return milliseconds by group; nothing of an engine without a profile."""
    found: dict[str, float] = {}
    for each in cost.operators:
        found[name_of(each)] = found.get(name_of(each), 0.0) + each.ms
    return found if cost.between_ms is None else {**found, read_graph.FRAMEWORK: cost.between_ms}


def _differences(
    ours: Sequence[Mapping[str, float]],
    theirs: Sequence[Mapping[str, float]],
    spent: tuple[Mapping[str, float], Mapping[str, float]],
    names: Sequence[str],
    family: int,
) -> dict[str, Difference]:
    """Return how much more each group takes, from sessions that both were in."""
    pairs = list(zip(ours, theirs, strict=False))
    values = {name: [a.get(name, 0.0) - b.get(name, 0.0) for a, b in pairs] for name in names}
    sizes = {name: max(abs(each.get(name, 0.0)) for each in spent) for name in names}
    return judge_together(values, sizes, family=family)
