"""Measures both sides in the same blocks until every cell has its answer, or time is up."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.base.child import Interpreter
from bench.gate.turns import take_turns
from bench.gate.verdict import Answer, Criterion, Pair, Ruling, judge
from bench.measure.context import RunContext
from bench.measure.group import Group
from bench.measure.job import Job
from bench.models.workload import Prepared
from bench.results.cells import GHOST
from bench.results.store import CellData

BASELINE = "baseline"
#: By how much what is no time but a size may grow.
MAX_GROWTH = {"peak RSS": 0.10, "model size": 0.05}


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
    """What a gate found, and what it rests on: the candidates' records, a cell each.

    `seconds` is how long measuring took, the start of every session included; `seed` is that of
    all orders. One that was interrupted rests on less than was asked for.
    """

    rulings: tuple[Ruling, ...]
    seconds: float
    candidates: tuple[CellData, ...]
    seed: int
    interrupted: bool = False


class GatedCell:
    """A pair on its way: a group of three cells, the ghost being the baseline's."""

    def __init__(self, sides: Sides, context: RunContext) -> None:
        self.name = sides.name
        self.baseline = Job.of(sides.baseline, sides.baseline_python).replica(BASELINE)
        self.candidate = Job.of(sides.candidate, sides.candidate_python)
        self._group = Group([self.baseline, self.candidate], context)
        #: How long the last session took, its start included.
        self.session_s = 0.0

    @property
    def sessions(self) -> int:
        """How many sessions were measured."""
        return self._group.sessions

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

    @property
    def failed(self) -> bool:
        """Whether a side ended early."""
        return self.failure is not None

    def measure_session(self) -> None:
        """Measure one more session of fresh processes."""
        self.session_s = self._group.measure_session()

    def pair(self) -> Pair:
        """Return what is measured so far."""
        ghosts = [job.data for job in self._group.jobs if job.cell.replica == GHOST]
        ghost = ghosts[0] if ghosts else CellData(self.baseline.data.declaration)
        data = (self.candidate.data, self.baseline.data)
        return Pair(self.name, *data, ghost, self.session_s)

    def sizes(self) -> list[Ruling]:
        """Compare what is no time: memory and the model file."""
        found = {
            "peak RSS": (_peak(self.candidate), _peak(self.baseline)),
            "model size": (
                self.candidate.data.declaration.artifact_bytes,
                self.baseline.data.declaration.artifact_bytes,
            ),
        }
        return [_size_ruling(self.name, what, *values) for what, values in found.items()]


def run(
    sides: Sequence[Sides], context: RunContext, criteria: Sequence[Criterion], *, budget_s: float
) -> Found:
    """Measure both sides of every cell in turns, and return the rulings; Ctrl-C ends it early."""
    measured = [GatedCell(each, context) for each in sides]
    began_s = context.clock()
    interrupted = False
    try:
        rulings = take_turns(
            measured,
            lambda final: _judge(measured, criteria, budget_s, final=final),
            budget_s=budget_s,
            spent_s=lambda: context.clock() - began_s,
            advance=context.progress.advance,
        )
    except KeyboardInterrupt:
        interrupted = True
        rulings = _judge(measured, criteria, budget_s, final=True)
    candidates = tuple(each.candidate.data for each in measured)
    seconds = context.clock() - began_s
    return Found(tuple(rulings), seconds, candidates, context.seed, interrupted)


def _judge(
    measured: Sequence[GatedCell],
    criteria: Sequence[Criterion],
    budget_s: float,
    *,
    final: bool,
) -> list[Ruling]:
    running = [each for each in measured if each.failure is None]
    rulings = judge(
        [each.pair().seen(criteria) for each in running], criteria, budget_s=budget_s, final=final
    )
    rulings += [ruling for each in running for ruling in each.sizes()]
    return [*(each.failure for each in measured if each.failure is not None), *rulings]


def _peak(job: Job) -> int | None:
    return job.data.outcome.peak_rss_bytes if job.data.outcome else None


def _size_ruling(name: str, what: str, candidate: int | None, baseline: int | None) -> Ruling:
    """Judge a size: it is the same every time, so the limit itself decides."""
    limit = MAX_GROWTH[what]
    if not candidate or not baseline:
        return Ruling(name, what, "pass", limit=limit, why="not judged: it is not known")
    ratio = candidate / baseline
    if ratio > 1 + limit:
        return Ruling(
            name, what, "regression", ratio, limit=limit, why=f"larger by over {limit:.0%}"
        )
    return Ruling(name, what, "pass", ratio, limit=limit, why="a size has no interval")
