"""Measures both sides in the same blocks until every cell has its answer, or time is up."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rtfbench.gate.verdict import (
    Also,
    Answer,
    Criterion,
    Pair,
    Ruling,
    judge,
    latency_ruling,
    undecided,
)
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.report.document import Block
from rtfbench.results.cells import GHOST
from rtfbench.results.sequential import LOOKS
from rtfbench.results.store import CellData


class TurnTaker(Protocol):
    """A cell that can be measured for a session more."""

    #: Its name in the rulings, and how many seconds the last session took.
    name: str
    session_s: float

    @property
    def sessions(self) -> int:
        """How many were measured."""

    @property
    def failed(self) -> bool:
        """Whether it has ended early, so that no more can be."""

    def measure_session(self) -> None:
        """Measure one more."""


def take_turns(
    cells: Sequence[TurnTaker],
    rule: Callable[[bool], list[Ruling]],
    *,
    budget_s: float,
    spent_s: Callable[[], float],
    left: Callable[[float], None] = lambda _: None,
) -> list[Ruling]:
    """Return the rulings of all cells.

    Cells that are not decided get a session each, in turns, until all are or the next session does
    not fit what is left of the budget. The first session of each is measured whatever it takes.

    Args:
        cells: what is gated.
        rule: judges what was measured so far; is told whether this is the end.
        budget_s: seconds that all of it may take.
        spent_s: returns how many it took so far.
        left: is told how many seconds are left at most.
    """
    while True:
        waiting = set(undecided(rule(False)))
        more = False
        for each in cells:
            if each.name not in waiting or each.failed or each.sessions >= LOOKS[-1]:
                continue
            if each.session_s <= budget_s - spent_s() or not each.sessions:
                each.measure_session()
                more = True
            first = [other.session_s for other in cells if other.sessions]
            to_begin = len(cells) - len(first)
            least_s = to_begin * sum(first) / len(first) if first else 0.0
            left(max(budget_s - spent_s(), least_s))
        if not more:
            left(0.0)
            return rule(True)


BASELINE = "baseline"
#: By how much what is no time but a size may grow.
MAX_GROWTH = {"peak RSS": 0.10, "model size": 0.05}


@dataclass(frozen=True)
class Held:
    """What a comparison found, with its title and the notes below its rulings.

    It rests on `candidates`, the records of a cell each. `seconds` is how long measuring took, the
    start of every session included; `seed` is that of all orders, None where nothing was measured.
    One that was interrupted rests on less than was asked for, and one of runs of two hosts is not
    judged.
    """

    rulings: Sequence[Ruling]
    title: str = ""
    notes: Sequence[Block | str] = ()
    seconds: float = 0.0
    seed: int | None = None
    interrupted: bool = False
    candidates: tuple[CellData, ...] = ()
    other_host: bool = False


class GatedCell:
    """A pair on its way: a group of three cells, the ghost being the baseline's."""

    def __init__(self, name: str, candidate: Job, baseline: Job, context: RunContext) -> None:
        self.name, self.candidate, self.baseline = name, candidate, baseline.replica(BASELINE)
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
        ghosts = [job for job in self._group.jobs if job.cell.replica == GHOST]
        bases = [(job, "baseline") for job in (self.baseline, *ghosts)]
        for job, side in ((self.candidate, "candidate"), *bases):
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

    def sizes(self, also: Collection[Also]) -> list[Ruling]:
        """Compare what is no time: memory and the model file."""
        both = [self.candidate.data, self.baseline.data]
        peaks = [each.outcome.peak_rss_bytes if each.outcome else None for each in both]
        files = [each.declaration.artifact_bytes for each in both]
        return [
            self._size_ruling("peak RSS", *peaks, counts="memory" in also),
            self._size_ruling("model size", *files, counts="size" in also),
        ]

    def _size_ruling(
        self, what: str, candidate: int | None, baseline: int | None, *, counts: bool
    ) -> Ruling:
        """Judge a size: it is the same every time, so the limit itself decides."""
        limit = MAX_GROWTH[what]
        ruling = partial(Ruling, self.name, what, limit=limit, counts=counts)
        if not candidate or not baseline:
            # What was asked for is not passed unseen.
            return ruling("inconclusive" if counts else "pass", why="not judged: it is not known")
        ratio = candidate / baseline
        if ratio > 1 + limit:
            return ruling("regression", ratio, why=f"larger by over {limit:.0%}")
        return ruling("pass", ratio, why="a size has no interval")

    def latency(self, *, final: bool) -> list[Ruling]:
        """Hold the candidate's latencies against what requests may take, where that is said.

        They are judged once, at the end: looked at again and again, one would be wrong too often.
        """
        load = self.candidate.cell.load
        if load is None or load.latency_ms is None:
            return []
        if not final:
            return [Ruling(self.name, "p99", "inconclusive")]
        return [latency_ruling(self.name, self.candidate.data.records, load.latency_ms)]


def run(
    measured: Sequence[GatedCell],
    context: RunContext,
    criteria: Sequence[Criterion],
    *,
    budget_s: float,
    also: Collection[Also] = (),
) -> Held:
    """Measure both sides of every cell in turns, and return the rulings; Ctrl-C ends it early.

    `criteria` are the times that are compared; of sizes, those decide that `also` names.
    """
    began_s = context.clock()
    interrupted = False

    def rule(final: bool) -> list[Ruling]:
        running = [each for each in measured if each.failure is None]
        seen = [each.pair().seen(criteria) for each in running]
        return [
            *(each.failure for each in measured if each.failure is not None),
            *judge(seen, criteria, budget_s=budget_s, final=final),
            *(one for each in running for one in (*each.latency(final=final), *each.sizes(also))),
        ]

    try:
        rulings = take_turns(
            measured,
            rule,
            budget_s=budget_s,
            spent_s=lambda: context.clock() - began_s,
            left=lambda seconds: context.progress.left(seconds, 0.0),
        )
    except KeyboardInterrupt:
        interrupted = True
        rulings = rule(True)
    return Held(
        rulings,
        seconds=context.clock() - began_s,
        seed=context.seed,
        interrupted=interrupted,
        candidates=tuple(each.candidate.data for each in measured),
    )
