"""The method on this very machine: an engine against itself, and with a slow-down that is known.

A short run has one comparison of six cells, all the same engine and model: the reference, its ghost
and another twin (nothing may differ), and three that compute on for 3, 5 and 10 % of each call's
time (the interval should hold that, and exclude 1).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import Value
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.measure.plan import Plan, expand
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell
from rtfbench.results.contrasts import contrasts, estimate_ratio
from rtfbench.results.estimate import ratio_estimate
from rtfbench.results.records import Record
from rtfbench.results.stats import relative_half_width
from rtfbench.results.store import CellData

#: Name of the replica -> share of a call's time that is added to it.
SLOWDOWNS: Mapping[str, float] = {"twin": 0.0, "slow 3 %": 0.03, "slow 5 %": 0.05, "slow 10 %": 0.1}


class IntervalFinding(Value):
    """What one run said of one replica: its interval against the reference."""

    run: int
    replica: str
    true_ratio: float
    ratio: float
    low: float
    high: float
    sessions: int
    blocks: int
    seconds: float
    #: Half width after so many of the sessions.
    width_after: dict[int, float] = Field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= self.true_ratio <= self.high

    @property
    def differs(self) -> bool:
        """Whether the run would call the two different."""
        return not self.low <= 1 <= self.high

    @property
    def half_width(self) -> float:
        """Half the interval's width, relative."""
        return relative_half_width((self.low, self.high))


@dataclass(frozen=True)
class Short:
    """How long a run is: seconds of measuring, and sessions."""

    budget_s: float
    sessions: int = 6


def steady_cell(model: str, engine: str, chunk_samples: int = PUBLISHED_CHUNK_SAMPLES) -> Cell:
    """Return a cell of one thread and a dynamic model, in steady state."""
    plan = Plan(
        models=(model,),
        engines=parse_engines(engine),
        chunk_samples=(chunk_samples,),
        protocols=("steady",),
    )
    return expand(plan, lambda _: "dynamic")[0]


def run_once(
    prepared: Prepared, context: RunContext, short: Short, *, number: int
) -> list[IntervalFinding]:
    """Make one run and return its findings; the run is done when they are there.

    Args:
        prepared: the cell that is replicated.
        context: of the run; its seed should change from run to run.
        short: how long.
        number: of the run, for the findings.
    """
    reference = Job.of(prepared)
    slowed = [reference.replica(name, slowdown=share) for name, share in SLOWDOWNS.items()]
    jobs = [reference, *slowed]
    group = Group(jobs, context)
    began_s = time.monotonic()
    group.measure_first(share_s=short.budget_s, longest_s=short.budget_s, sessions=short.sessions)
    return list(_findings(group, number, time.monotonic() - began_s))


def _findings(group: Group, number: int, seconds: float) -> Iterator[IntervalFinding]:
    reference = group.jobs[0].data
    course = reference.course
    for job in group.running[1:]:
        estimate = estimate_ratio(job.data, reference, alpha=course.alpha if course else 0.05)
        if estimate is None or estimate.interval is None:
            continue
        yield IntervalFinding(
            run=number,
            replica=job.cell.replica,
            true_ratio=true_ratio(job.cell, reference.records),
            ratio=estimate.ratio,
            low=estimate.interval[0],
            high=estimate.interval[1],
            sessions=estimate.sessions,
            blocks=estimate.blocks,
            seconds=round(seconds, 1),
            width_after=_widths(job.data, reference),
        )


def _widths(data: CellData, reference: CellData) -> dict[int, float]:
    """Return the half width that the first sessions alone give, from two sessions on."""
    by_session = contrasts(data, reference)
    found = {n: ratio_estimate(by_session[:n]) for n in range(2, len(by_session) + 1)}
    return {n: each.half_width for n, each in found.items() if each and each.interval}


def true_ratio(cell: Cell, reference: Sequence[Record]) -> float:
    """Return the ratio that was injected: the engine's calls are slowed, the front end is not."""
    engine_ns = sum(record.engine_ns for record in reference)
    return 1 + cell.slowdown * engine_ns / sum(record.processing_ns for record in reference)
