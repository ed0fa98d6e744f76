"""Pass, regression or inconclusive, criterion by criterion (pure).

What is gated are times, as ratios of candidate to baseline that were measured in turns. A cell's
sessions give the ratio, and with those of cells that compare the same engines its spread; the rule
in `bench.results.sequential` decides after each look.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.base.values import Interval
from bench.results.contrasts import PartNs, contrasts_by_session, prior_of, stratum_of
from bench.results.lines import Record
from bench.results.moderated import SessionValues, session_values
from bench.results.sequential import LOOKS, Decision, alpha_of, decide, sessions_needed
from bench.results.store import CellData

Answer = Literal["pass", "regression", "inconclusive"]


@dataclass(frozen=True)
class Criterion:
    """One time that is gated.

    A ratio over 1 + `margin` is a regression once it is proved; `max_regression` is what the
    interval must stay under to pass, None where anything that is no regression passes.
    """

    name: str
    part_ns: PartNs
    margin: float
    max_regression: float | None
    a_session: bool = False

    @property
    def limit(self) -> float:
        """The share that a reader is told: the one that has to be ruled out, else the margin."""
        return self.margin if self.max_regression is None else self.max_regression

    @property
    def values_a_session(self) -> int | None:
        """How many values a session has: one of what happens once, however many blocks repeat it.

        None: as many as blocks.
        """
        return 1 if self.a_session else None


@dataclass(frozen=True)
class Ruling:
    """What was found of one criterion of one cell.

    `limit` is a share, `interval` that of the ratio; one that is None was not judged, and `why`
    says the reason.
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


def criteria(*, margin: float, max_regression: float) -> tuple[Criterion, ...]:
    """Return what is gated of a cell's times.

    Args:
        margin: share by which the processing time may grow unproved.
        max_regression: share under which its interval must stay.
    """
    return (
        Criterion("RTF", lambda r: r.processing_ns, margin, max_regression),
        Criterion(
            "front end", lambda r: r.frontend_ns, max(margin, 0.05), max(max_regression, 0.10)
        ),
        Criterion("harness", _own_ns, 0.25, 0.50),
        Criterion("load", lambda r: r.load_ns, 0.25, None, a_session=True),
        Criterion("first chunk", lambda r: r.first_chunk_ns, 0.25, None, a_session=True),
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

    def seen(self, criteria: Sequence[Criterion]) -> "Seen":
        """Return what is known of the cell."""
        values = {each.name: values_of(each, self) for each in criteria}
        cells = (self.candidate.cell, self.baseline.cell)
        return Seen(self.name, stratum_of(*cells), prior_of(*cells), self.session_s, values)


def values_of(criterion: Criterion, pair: Pair) -> SessionValues:
    """Return a criterion's values of every session in which all three have a complete block."""
    part = criterion.part_ns
    found = [
        contrasts_by_session(pair.candidate, pair.baseline, part_ns=part),
        contrasts_by_session(pair.candidate, pair.ghost, part_ns=part),
        contrasts_by_session(pair.ghost, pair.baseline, part_ns=part),
    ]
    shared = sorted(set.intersection(*(set(each) for each in found)))
    return session_values(
        *([each[number][: criterion.values_a_session] for number in shared] for each in found)
    )


@dataclass(frozen=True)
class Seen:
    """What is judged: the values of a cell's sessions, by criterion; see `Pair`.

    Cells of one stratum tell of each other's spread; `prior` is what is assumed of it.
    """

    name: str
    stratum: tuple[object, ...]
    prior: float
    session_s: float
    values: Mapping[str, SessionValues]


def judge(
    cells: Sequence[Seen], criteria: Sequence[Criterion], *, budget_s: float, final: bool = False
) -> list[Ruling]:
    """Judge every criterion of every cell.

    Args:
        cells: what is known of each.
        criteria: what is gated of each.
        budget_s: what may be spent, for the sentence that says how much would decide.
        final: whether this is the end: sessions since the last look count too, and what is
            undecided says what would decide.
    """
    by_criterion = [_judge_all(each, cells, budget_s, final=final) for each in criteria]
    return [ruling for of_cell in zip(*by_criterion, strict=True) for ruling in of_cell]


def _judge_all(
    criterion: Criterion, cells: Sequence[Seen], budget_s: float, *, final: bool
) -> list[Ruling]:
    """Judge one criterion of every cell; the cells of a stratum tell of each other's spread."""
    values = [cell.values[criterion.name] for cell in cells]
    values = values if final else [_at_look(each) for each in values]
    rulings = []
    for cell, own in zip(cells, values, strict=True):
        others = [
            each
            for other, each in zip(cells, values, strict=True)
            if other is not cell and other.stratum == cell.stratum
        ]
        rulings.append(
            _rule(
                criterion,
                cell,
                own,
                others,
                cells=len(cells),
                budget_s=budget_s if final else None,
            )
        )
    return rulings


def _at_look(values: SessionValues) -> SessionValues:
    """Return the sessions up to the last look."""
    looks = [look for look in LOOKS if look <= len(values.u)]
    count = looks[-1] if looks else len(values.u)
    return SessionValues(values.u[:count], values.v[:count])


def _rule(
    criterion: Criterion,
    cell: Seen,
    values: SessionValues,
    others: Sequence[SessionValues],
    *,
    cells: int,
    budget_s: float | None,
) -> Ruling:
    """Judge a criterion of a cell; with a budget, say which one would decide."""
    margin, limit = criterion.margin, criterion.max_regression
    prior, alpha = cell.prior, alpha_of(criterion.name)
    found = decide(
        values, margin=margin, limit=limit, others=others, prior=prior, cells=cells, alpha=alpha
    )
    if found is None:
        sessions = len(values.u)
        ratio = math.exp(values.u[0]) if values.u else None
        counted = "one session was" if sessions == 1 else "no session was"
        return Ruling(
            cell.name,
            criterion.name,
            "inconclusive",
            ratio,
            limit=criterion.limit,
            sessions=sessions,
            why=f"not judged: {counted} measured, and it takes two: a larger --budget",
        )
    why = _why(criterion, found)
    if found.answer == "inconclusive" and budget_s is not None:
        needed = sessions_needed(
            values, margin=margin, limit=limit, others=others, prior=prior, cells=cells, alpha=alpha
        )
        why = _what_would_decide(cell, found, needed, budget_s)
    return Ruling(
        cell.name,
        criterion.name,
        found.answer,
        found.ratio,
        found.ci95,
        criterion.limit,
        found.sessions,
        found.df,
        why,
    )


def _why(criterion: Criterion, found: Decision) -> str:
    """Say what proves a regression, or what a pass rests on where no limit had to be ruled out."""
    if found.answer == "regression":
        return f"slower by more than {criterion.margin:.0%}"
    if found.answer == "pass" and criterion.max_regression is None:
        return "no more than an alarm was asked for"
    return ""


def _what_would_decide(cell: Seen, found: Decision, needed: int | None, budget_s: float) -> str:
    off = f"the baseline differs from itself by {math.expm1(found.off):.1%}; " if found.off else ""
    if needed is None:
        return f"{off}no budget would decide here: a quieter machine"
    more = cell.session_s * max(needed - found.sessions, 1)
    return f"{off}undecided: about --budget {math.ceil(budget_s + 1.2 * more)} would decide"


def undecided(rulings: Sequence[Ruling]) -> list[str]:
    """Return the cells that more sessions may decide; one time that is slower decides a cell.

    A size that grew does not: how long the candidate takes is still to be told.
    """
    decided = {each.cell for each in rulings if each.answer == "regression" and each.interval}
    waiting = (each.cell for each in rulings if each.answer == "inconclusive")
    return [cell for cell in dict.fromkeys(waiting) if cell not in decided]


def overall(rulings: Sequence[Ruling]) -> Answer:
    """Return the answer for all rulings together."""
    answers = {each.answer for each in rulings}
    if "regression" in answers:
        return "regression"
    return "inconclusive" if "inconclusive" in answers or not rulings else "pass"
