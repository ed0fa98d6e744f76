"""Measures both sides in the same blocks until every cell has its answer, or time is up."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.base.child import Interpreter
from bench.gate.verdict import Answer, Criterion, Pair, Ruling, judge, suspects, undecided
from bench.measure.group import GHOST, Group
from bench.measure.job import Job
from bench.measure.session import RunContext
from bench.models.workload import Prepared
from bench.results.contrasts import estimate_ratio
from bench.results.store import CellData

BASELINE = "baseline"
SESSIONS = 6
#: What may grow by this much at most, being no time but a size.
MOST_SIZE = {"peak RSS": 0.10, "model size": 0.05}


@dataclass(frozen=True)
class Sides:
    """A cell's two sides, prepared, each with its Python."""

    name: str
    candidate: Prepared
    baseline: Prepared
    candidate_python: Interpreter | None = None
    baseline_python: Interpreter | None = None


@dataclass(frozen=True)
class Found:
    """What a gate found, and what it rests on: the candidates' records, a cell each."""

    lines: tuple[Ruling, ...]
    seconds: float
    candidates: tuple[CellData, ...]


class GatedCell:
    """A pair on its way: a group of three cells, the ghost being the baseline's."""

    def __init__(self, sides: Sides, context: RunContext) -> None:
        self.name = sides.name
        self.baseline = Job.of(sides.baseline, sides.baseline_python).replica(BASELINE)
        self.candidate = Job.of(sides.candidate, sides.candidate_python)
        self.group = Group([self.baseline, self.candidate], context)
        #: Criterion -> the number of sessions after which it looked slower.
        self.found_at: dict[str, int] = {}

    @property
    def failure(self) -> Ruling | None:
        """What ended a side, None where both run."""
        for job, side in ((self.candidate, "candidate"), (self.baseline, "baseline")):
            outcome = job.data.outcome
            if outcome is not None and outcome.status != "ok":
                wrong = outcome.status == "wrong_output" and side == "candidate"
                answer: Answer = "regression" if wrong else "inconclusive"
                return Ruling(self.name, "parity" if wrong else side, answer, why=outcome.reason)
        return None

    def clean(self) -> bool:
        """Whether the baseline's ratio to its ghost holds 1."""
        ghost = next((job for job in self.group.jobs if job.cell.replica == GHOST), None)
        if ghost is None:
            return False
        estimate = estimate_ratio(ghost.data, self.baseline.data, alpha=0.01)
        return (
            estimate is not None
            and estimate.interval is not None
            and estimate.interval[0] <= 1 <= estimate.interval[1]
        )

    def remember(self, lines: Sequence[Ruling]) -> None:
        """Note what looks slower for the first time: the sessions from here on confirm it."""
        for line in suspects(lines):
            if line.cell == self.name:
                self.found_at.setdefault(line.criterion, self.group.sessions)

    def sizes(self) -> list[Ruling]:
        """Compare what is no time: memory and the model file."""
        found = {
            "peak RSS": (
                _peak(self.candidate),
                _peak(self.baseline),
            ),
            "model size": (
                self.candidate.data.declaration.artifact_bytes,
                self.baseline.data.declaration.artifact_bytes,
            ),
        }
        return [
            _size_line(self.name, what, *values, most=MOST_SIZE[what])
            for what, values in found.items()
        ]


def run(
    sides: Sequence[Sides], context: RunContext, criteria: Sequence[Criterion], *, budget_s: float
) -> Found:
    """Return the lines of every cell.

    A cell that is not decided, or that looks slower and is to be confirmed, gets as many fresh
    sessions again. That goes on until all is decided or the budget is spent. Each round takes half
    of what is left, so that what it finds can be confirmed.
    """
    measured = [GatedCell(each, context) for each in sides]
    spent_s = 0.0
    for index, each in enumerate(measured):
        share_s = (budget_s / 2 - spent_s) / (len(measured) - index)
        spent_s += each.group.measure_first(
            share_s=max(share_s, 1.0), longest_s=share_s, sessions=SESSIONS
        )
    while True:
        lines = _judge(measured, criteria)
        context.progress.advance(min(spent_s / budget_s, 1.0))
        waiting = set(undecided(lines))
        wanted = [each for each in measured if each.name in waiting and each.failure is None]
        for each in wanted:
            each.remember(lines)
        took_s = 0.0
        for index, each in enumerate(wanted):
            share_s = ((budget_s - spent_s) / 2 - took_s) / (len(wanted) - index)
            took_s += each.group.measure_more(share_s, sessions=SESSIONS)
        spent_s += took_s
        if not took_s:
            return Found(tuple(lines), spent_s, tuple(each.candidate.data for each in measured))


def _judge(measured: Sequence[GatedCell], criteria: Sequence[Criterion]) -> list[Ruling]:
    running = [each for each in measured if each.failure is None]
    lines = judge(
        [Pair(m.name, m.candidate.data, m.baseline.data, m.clean(), m.found_at) for m in running],
        criteria,
    )
    lines += [line for each in running for line in each.sizes()]
    return [*(each.failure for each in measured if each.failure is not None), *lines]


def _peak(job: Job) -> int | None:
    return job.data.outcome.peak_rss_bytes if job.data.outcome else None


def _size_line(
    name: str, what: str, candidate: int | None, baseline: int | None, *, most: float
) -> Ruling:
    """Judge a size: it is the same every time, so the limit itself decides."""
    if not candidate or not baseline:
        return Ruling(name, what, "pass", why="not known")
    ratio = candidate / baseline
    if ratio > 1 + most:
        return Ruling(name, what, "regression", ratio, why=f"larger by more than {most:.0%}")
    return Ruling(name, what, "pass", ratio)
