"""Pass, regression or inconclusive (pure)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.results.contrasts import PartNs, contrasts
from bench.results.lines import Record
from bench.results.stats import Interval, clustered_signed_rank_p, holm, ratio_estimate
from bench.results.store import CellData

Answer = Literal["pass", "regression", "inconclusive"]

#: How often a difference under the margin may look like one over it, over all cells together, in
#: each criterion. Rank sums of six short sessions cannot prove much more, however slow a side is.
ALPHA = 0.01
#: The same for the confirmation in fresh sessions, which only what was found first gets.
ALPHA_CONFIRMED = 0.05
UNCONFIRMED = "slower at first, not confirmed: more budget"


@dataclass(frozen=True)
class Criterion:
    """One time that is gated.

    A ratio over 1 + `margin` is a regression once it is proved; `most` is what the interval must
    stay under to pass, None where anything that is no regression passes.
    """

    name: str
    part_ns: PartNs
    margin: float
    most: float | None
    a_session: bool = False


@dataclass(frozen=True)
class Ruling:
    """What was found of one criterion of one cell."""

    cell: str
    criterion: str
    answer: Answer
    ratio: float | None = None
    interval: Interval | None = None
    p: float | None = None
    why: str = ""


def criteria(*, margin: float, most: float) -> tuple[Criterion, ...]:
    """Return what is gated of a cell's times.

    Args:
        margin: share by which the processing time may grow unproved.
        most: share under which its interval must stay.
    """
    return (
        Criterion("RTF", lambda r: r.processing_ns, margin, most),
        Criterion("front end", lambda r: r.frontend_ns, max(margin, 0.05), max(most, 0.10)),
        Criterion("harness", _own_ns, 0.25, 0.50),
        Criterion("load", lambda r: r.load_ns, 0.25, None, a_session=True),
        Criterion("first chunk", lambda r: r.first_chunk_ns, 0.25, None, a_session=True),
    )


def _own_ns(record: Record) -> int:
    return record.processing_ns - record.frontend_ns - record.engine_ns


def session_contrasts(
    criterion: Criterion, candidate: CellData, baseline: CellData
) -> list[list[float]]:
    """Return log(candidate / baseline), a list a session."""
    found = contrasts(candidate, baseline, part_ns=criterion.part_ns)
    # What happens once a session has one value in it, however many blocks repeat it.
    return [session[:1] for session in found] if criterion.a_session else found


@dataclass(frozen=True)
class Pair:
    """A cell's two sides as far as they are measured.

    `clean` says whether the baseline's ratio to its ghost holds 1. `found_at` names the criteria
    that looked slower, and after how many sessions: those that follow confirm it or do not.
    """

    name: str
    candidate: CellData
    baseline: CellData
    clean: bool
    found_at: Mapping[str, int] = field(default_factory=dict)


def judge(pairs: Sequence[Pair], criteria: Sequence[Criterion]) -> list[Ruling]:
    """Judge every criterion of every cell; its tests are adjusted for there being many (Holm)."""
    lines = [_judge_all(criterion, pairs) for criterion in criteria]
    return [line for of_pair in zip(*lines, strict=True) for line in of_pair]


def _judge_all(criterion: Criterion, pairs: Sequence[Pair]) -> list[Ruling]:
    """Judge one criterion of every cell."""
    logs = [session_contrasts(criterion, pair.candidate, pair.baseline) for pair in pairs]
    first = [x[: pair.found_at.get(criterion.name)] for pair, x in zip(pairs, logs, strict=True)]
    p_values = holm([clustered_signed_rank_p(x, math.log1p(criterion.margin)) for x in first])
    return [
        _line(pair, criterion, x, p=p) for pair, x, p in zip(pairs, logs, p_values, strict=True)
    ]


def suspects(lines: Sequence[Ruling]) -> list[Ruling]:
    """Return what may be slower: fresh sessions are to confirm it."""
    return [line for line in lines if line.p is not None and line.p <= ALPHA]


def undecided(lines: Sequence[Ruling]) -> list[str]:
    """Return the cells that more sessions may decide."""
    return list(dict.fromkeys(line.cell for line in lines if line.answer == "inconclusive"))


def overall(lines: Sequence[Ruling]) -> Answer:
    """Return the answer for all lines together."""
    answers = {line.answer for line in lines}
    if "regression" in answers:
        return "regression"
    return "inconclusive" if "inconclusive" in answers or not lines else "pass"


def _line(pair: Pair, criterion: Criterion, logs: Sequence[Sequence[float]], *, p: float) -> Ruling:
    estimate = ratio_estimate(logs)
    if estimate is None:
        return Ruling(pair.name, criterion.name, "inconclusive", why="nothing was measured")

    def line(answer: Answer, why: str = "") -> Ruling:
        return Ruling(pair.name, criterion.name, answer, estimate.ratio, estimate.interval, p, why)

    if p <= ALPHA:
        if not pair.clean:
            return line("inconclusive", "the baseline differs from itself: a quieter machine")
        fresh = logs[pair.found_at.get(criterion.name, len(logs)) :]
        if not fresh:
            return line("inconclusive", UNCONFIRMED)
        if clustered_signed_rank_p(fresh, math.log1p(criterion.margin)) <= ALPHA_CONFIRMED:
            return line("regression", f"slower by more than {criterion.margin:.0%}, confirmed")
        # Fresh sessions do not find it again: it was luck, and the interval over all decides.
    if criterion.most is None:
        return line("pass")
    if estimate.interval is None:
        return line("inconclusive", "too few sessions: more budget")
    if estimate.interval[1] <= 1 + criterion.most:
        return line("pass")
    if p <= ALPHA:
        return line("inconclusive", UNCONFIRMED)
    if estimate.ratio > 1 + criterion.margin:
        return line("inconclusive", "perhaps slower: more budget")
    return line("inconclusive", "the interval is too wide: more budget or a quieter machine")
