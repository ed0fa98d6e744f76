"""Pass, regression or inconclusive, criterion by criterion (pure).

What is gated are times, as ratios of candidate to baseline that were measured in turns. A cell's
sessions give the ratio, and with those of cells that compare the same engines its spread; the rule
in `rtfbench.results.sequential` decides after each look.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from rtfbench.base.values import Interval
from rtfbench.results import protocols
from rtfbench.results.contrasts import (
    PartNs,
    TimesOf,
    block_times,
    contrasts_by_session,
    own_times,
    prior_of,
    stratum_of,
    tells_waits,
    undisturbed_times,
)
from rtfbench.results.moderated import SessionValues, session_values, steadier
from rtfbench.results.records import Record
from rtfbench.results.sequential import Case, Decision, alpha_of, decide, last_look, sessions_needed
from rtfbench.results.server import REJECTED
from rtfbench.results.stats import clustered_quantile_interval, tail_quantile
from rtfbench.results.store import CellData

#: Where it is told which side is disturbed more, a chunk counts with so many undisturbed ones.
MOST_OF_A_CHUNK = 2.0

Answer = Literal["pass", "regression", "inconclusive"]
#: What can decide beside the RTF. Where both sides are two engines, or share their front end, these
#: say nothing of which is faster.
Also = Literal["front-end", "harness", "load", "first-chunk", "memory", "size"]


#: Of latencies, what is held against a limit.
TAIL = 0.99
NS_PER_MS = 1e6


@dataclass(frozen=True)
class Criterion:
    """One time that is gated.

    A ratio over 1 + `margin` is a regression once it is proved; `max_regression` is what the
    interval must stay under to pass, None where anything that is no regression passes. One that
    does not count is told and decides nothing. `steadies` says that on a noisy machine times count
    as they would be undisturbed. `values_a_session` is 1 of what happens once in it, however many
    blocks repeat it; None, as many as blocks.
    """

    name: str
    part_ns: PartNs
    margin: float
    max_regression: float | None
    values_a_session: int | None = None
    counts: bool = True
    steadies: bool = False

    @property
    def limit(self) -> float:
        """The share that a reader is told: the one that has to be ruled out, else the margin."""
        return self.margin if self.max_regression is None else self.max_regression


@dataclass(frozen=True)
class Ruling:
    """What was found of one criterion of one cell.

    `limit` is a share, `interval` that of the ratio; one that is None was not judged, and `why`
    says the reason. One that does not count was not asked for, and decides nothing.
    """

    cell: str
    criterion: str
    answer: Answer
    ratio: float | None = None
    interval: Interval | None = None
    limit: float | None = None
    sessions: int | None = None
    df: float | None = None
    why: str = ""
    counts: bool = True


def criteria(
    *, margin: float, max_regression: float, also: Collection[Also] = ()
) -> tuple[Criterion, ...]:
    """Return what is gated of a cell's times; what does not decide is measured and told.

    The processing time may grow by the share `margin` unproved; its interval must stay under
    `max_regression`. What is surely over that is a regression, however wide the margin.
    """
    margin = min(margin, max_regression)
    wider, limit = max(margin, 0.05), max(max_regression, 0.10)
    once = partial(Criterion, margin=0.25, max_regression=None, values_a_session=1)
    return (
        Criterion("RTF", lambda r: r.processing_ns, margin, max_regression, steadies=True),
        Criterion("front end", lambda r: r.frontend_ns, wider, limit, counts="front-end" in also),
        Criterion("harness", _own_ns, 0.25, 0.50, counts="harness" in also),
        once("load", lambda r: r.load_ns, counts="load" in also),
        once("first chunk", lambda r: r.first_chunk_ns, counts="first-chunk" in also),
    )


def _own_ns(record: Record) -> int:
    return record.processing_ns - record.frontend_ns - record.engine_ns


@dataclass(frozen=True)
class Pair:
    """A cell's two sides as far as they are measured, and the baseline's ghost.

    `session_s` is how long a session of the cell takes, starting included.
    """

    name: str
    candidate: CellData
    baseline: CellData
    ghost: CellData
    session_s: float = 0.0

    def seen(self, criteria: Sequence[Criterion]) -> "Evidence":
        """Return what is known of the cell."""
        values = {each.name: values_of(each, self) for each in criteria}
        cells = (self.candidate.cell, self.baseline.cell)
        return Evidence(self.name, stratum_of(*cells), prior_of(*cells), self.session_s, values)


def values_of(criterion: Criterion, pair: Pair) -> SessionValues:
    """Return a criterion's values of every session in which all three have a complete block."""
    every = _values(criterion, pair)
    cell = pair.candidate.cell
    if not criterion.steadies or protocols.named(cell.protocol).queued or not every.v:
        return every
    prior = prior_of(cell, pair.baseline.cell)
    return steadier(every, _without_disturbances(criterion, pair), prior=prior)


def _without_disturbances(criterion: Criterion, pair: Pair) -> Iterator[SessionValues]:
    """Yield the same of times without disturbances, by each way to tell those, the best first."""
    if all(map(tells_waits, (pair.candidate, pair.baseline, pair.ghost))):
        yield replace(_values(criterion, pair, own_times), alone=True)
    undisturbed = _values(criterion, pair, undisturbed_times)
    capped = _values(criterion, pair, partial(undisturbed_times, most=MOST_OF_A_CHUNK))
    yield replace(undisturbed, spikes=capped.minus(undisturbed))


def _values(criterion: Criterion, pair: Pair, times: TimesOf | None = None) -> SessionValues:
    times = times or partial(block_times, part_ns=criterion.part_ns)
    found = [
        contrasts_by_session(one, other, times)
        for one, other in (
            (pair.candidate, pair.baseline),
            (pair.candidate, pair.ghost),
            (pair.ghost, pair.baseline),
        )
    ]
    shared = sorted(set.intersection(*(set(each) for each in found)))
    return session_values(
        *([each[number][: criterion.values_a_session] for number in shared] for each in found)
    )


@dataclass(frozen=True)
class Evidence:
    """What is judged: the values of a cell's sessions, by criterion; see `Pair`.

    Cells of one stratum tell of each other's spread; `prior` is what is assumed of it.
    """

    name: str
    stratum: tuple[object, ...]
    prior: float
    session_s: float
    values: Mapping[str, SessionValues]


def judge(
    cells: Sequence[Evidence],
    criteria: Sequence[Criterion],
    *,
    budget_s: float,
    final: bool = False,
) -> list[Ruling]:
    """Judge every criterion of every cell.

    At the end, sessions since the last look count too, and what is undecided says which budget, in
    place of this one, would decide.
    """

    def counted(cell: Evidence, criterion: Criterion) -> SessionValues:
        values = cell.values[criterion.name]
        return values if final else values.first(last_look(len(values.u)))

    told_s = budget_s if final else None
    rulings = []
    for cell in cells:
        alike = [each for each in cells if each is not cell and each.stratum == cell.stratum]
        for criterion in criteria:
            own, others = counted(cell, criterion), [counted(each, criterion) for each in alike]
            rulings.append(_rule(criterion, cell, own, others, cells=len(cells), budget_s=told_s))
    return rulings


def _rule(
    criterion: Criterion,
    cell: Evidence,
    values: SessionValues,
    others: Sequence[SessionValues],
    *,
    cells: int,
    budget_s: float | None,
) -> Ruling:
    """Judge a criterion of a cell; with a budget, say which one would decide."""
    case = Case(
        values,
        margin=criterion.margin,
        limit=criterion.max_regression,
        others=others,
        prior=cell.prior,
        cells=cells,
        alpha=alpha_of(criterion.name),
    )
    ruling = partial(
        Ruling, cell.name, criterion.name, limit=criterion.limit, counts=criterion.counts
    )
    found = decide(case)
    if found is None:
        sessions = len(values.u)
        ratio = math.exp(values.u[0]) if values.u else None
        counted = "one session was" if sessions == 1 else "no session was"
        more = "a larger --budget"
        if budget_s is not None and cell.session_s:
            # Sessions of all cells take about as long, and one is never like the other.
            more = f"about --budget {math.ceil(2.4 * cell.session_s * cells)}"
        why = f"not judged: {counted} measured, and it takes two: {more}"
        return ruling("inconclusive", ratio, sessions=sessions, why=why)
    why = _why(criterion, found, alone=values.alone)
    if found.answer == "inconclusive" and not found.spiky and budget_s is not None:
        why = _what_would_decide(cell, found, sessions_needed(case), budget_s)
    sessions, df = found.sessions, found.df
    return ruling(found.answer, found.ratio, found.ci95, sessions=sessions, df=df, why=why)


def _why(criterion: Criterion, found: Decision, *, alone: bool) -> str:
    """Say what proves a regression, or what a pass rests on."""
    if found.spiky:
        more = f"of what disturbs both, head takes {math.expm1(found.spikes or 0.0):.0%} more"
        proved = f"over {criterion.margin:.0%}" if found.answer == "regression" else "not proved"
        return f"{more}, {proved}; the ratio is that of undisturbed times"
    if found.answer == "regression":
        return f"slower by more than {criterion.margin:.0%}"
    if found.answer == "pass" and criterion.max_regression is None:
        return "no more than an alarm was asked for"
    if found.spikes is not None:
        return "of the times that nothing disturbed; the machine is noisy"
    if alone:
        return "without the time in which others had the core; the machine is busy"
    return ""


def _what_would_decide(cell: Evidence, found: Decision, needed: int | None, budget_s: float) -> str:
    off = f"the baseline differs from itself by {math.expm1(found.off):.1%}; " if found.off else ""
    if needed is None:
        return f"{off}no budget would decide here: a quieter machine"
    more = cell.session_s * max(needed - found.sessions, 1)
    return f"{off}undecided: about --budget {math.ceil(budget_s + 1.2 * more)} would decide"


#: In place of the latency of a request that was rejected: longer than any run.
NEVER_NS = 10**18


def latency_ruling(cell: str, records: Sequence[Record], limit_ms: float) -> Ruling:
    """Hold a candidate's p99 against what its requests may take; once, when measuring has ended.

    `limit_ms` is what 99 of 100 requests may take, from when each is due.
    """
    sessions: dict[int, list[float]] = {}
    for record in records:
        # One that found no place is answered never.
        answered = (*record.utterance_ns, *[NEVER_NS] * len(record.own.get(REJECTED, ())))
        sessions.setdefault(record.session, []).extend(answered)
    by_session, count = list(sessions.values()), len(sessions)
    found = tail_quantile([ns for some in by_session for ns in some], TAIL)
    ends = clustered_quantile_interval(by_session, TAIL) if found is not None else None
    if found is None or ends is None:
        why = "not judged: so few requests tell no interval of p99: a larger --budget"
        return Ruling(cell, "p99", "inconclusive", sessions=count, why=why)
    limit_ns = limit_ms * NS_PER_MS
    answer: Answer = "pass" if ends[1] <= limit_ns else "inconclusive"
    if ends[0] > limit_ns:
        answer = "regression"
    if found > NEVER_NS // 1000:  # a quantile may lie between the last answer and none
        why = "more than one request in 100 was rejected"
        return Ruling(cell, "p99", answer, sessions=count, why=why)
    interval = (ends[0] / limit_ns, ends[1] / limit_ns) if ends[1] < NEVER_NS else None
    why = f"times the {limit_ms:g} ms that a request may take"
    return Ruling(cell, "p99", answer, found / limit_ns, interval, sessions=count, why=why)


def undecided(rulings: Sequence[Ruling]) -> list[str]:
    """Return the cells that more sessions may decide; one time that is slower decides a cell.

    A size that grew does not: how long the candidate takes is still to be told.
    """
    counted = [each for each in rulings if each.counts]
    decided = {each.cell for each in counted if each.answer == "regression" and each.interval}
    waiting = (each.cell for each in counted if each.answer == "inconclusive")
    return [cell for cell in dict.fromkeys(waiting) if cell not in decided]


def overall(rulings: Sequence[Ruling]) -> Answer:
    """Return the answer for all rulings that count together."""
    answers = {each.answer for each in rulings if each.counts}
    if "regression" in answers:
        return "regression"
    return "inconclusive" if "inconclusive" in answers or not answers else "pass"
