"""Sessions of fresh processes, each at the rate that the capacity of its cell seems to be by then.

Cells take turns, and get the same recordings in the same order; arrivals are the same draw, at each
cell's own rate.
"""

import math
import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from rtfbench.base.interruption import finishing
from rtfbench.measure import procedures, schedule
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.open_loop import OpenLoop, load_of
from rtfbench.measure.session import MeasuringSession
from rtfbench.models.workload import Prepared
from rtfbench.results.capacity import Pass, Requests, pass_of
from rtfbench.results.load import MOST_RATE_PER_S, Load
from rtfbench.results.records import Record

#: The first session only tells which rate to begin with. More arrives in it than is probably
#: served, so that it is soon over: so many requests within the latency, or streams, a process.
FIRST_RATE, FIRST_STREAMS = 100.0, 10


def first_rate(latency_ms: float) -> float:
    """Return how many requests a second the first session offers each process."""
    return min(FIRST_RATE * 1e3 / latency_ms, MOST_RATE_PER_S)


def at_load(prepared: Prepared, load: Load) -> Prepared:
    """Return a cell under another load."""
    update = {"load": load, "rate_per_s": load.rate_per_s}
    return replace(prepared, cell=prepared.cell.model_copy(update=update))


@dataclass
class Contestant:
    """A cell on its way; it has a job for each rate at which it was measured.

    `first` is the job at the rate of its first session, and fails where any of them does.
    """

    first: Job
    requests: Requests
    rate_per_s: float
    jobs: dict[float, Job]
    records: list[Record] = field(default_factory=list)

    @classmethod
    def of(cls, first: Job, *, latency_s: float, slo: float) -> "Contestant":
        """Return the contestant of a job that is declared."""
        load = load_of(first.cell)
        requests = Requests(latency_s, slo, first.cell.jobs, load)
        return cls(first, requests, load.rate_per_s, {load.rate_per_s: first})

    @property
    def failed(self) -> str:
        """Why it failed, empty where it did not."""
        outcome = self.first.data.outcome
        if not self.first.failed or outcome is None:
            return ""
        return f"{outcome.status.replace('_', ' ')}: {outcome.reason}"

    def next_job(self, context: RunContext) -> Job:
        """Return its job at the rate that comes next, declared."""
        if self.rate_per_s not in self.jobs:
            load = load_of(self.first.cell).at(self.rate_per_s)
            job = Job.of(at_load(self.first.prepared, load))
            # It is the same model on the same engine: what was proved of it holds.
            job.ready, job.effective = self.first.ready, self.first.effective
            context.folder.append(job.data.declaration)
            self.jobs[self.rate_per_s] = job
        return self.jobs[self.rate_per_s]

    def take(self, job: Job, session: int, context: RunContext, *, pilot: bool) -> None:
        """Keep what a session told, and say at which rate the next one is."""
        if job.failed:
            outcome = job.data.outcome
            assert outcome is not None
            if job is not self.first:
                self.first.end(context.folder, outcome.status, outcome.reason)
            return
        records = [record for record in job.data.records if record.session == session]
        passes: list[Pass] = [
            pass_of(record, rate_per_s=job.cell.rate_per_s, latency_s=self.requests.latency_s)
            for record in records
        ]
        known = replace(self.requests, sessions=[passes])
        if not pilot:
            self.records += records
            self.requests.sessions.append(passes)
            known = self.requests
        self.rate_per_s = known.worth_trying(seed=context.seed)

    def end(self, context: RunContext) -> None:
        """Write how its jobs ended."""
        for job in self.jobs.values():
            if not job.failed:
                job.end(context.folder, "ok")


def measure_session(
    contestants: Sequence[Contestant],
    number: int,
    context: RunContext,
    *,
    pilot: bool,
    most_s: float = math.inf,
) -> tuple[float, float]:
    """Measure one session; return the seconds of starting processes, and those of measuring.

    Args:
        contestants: that take turns; those that failed are left out.
        number: the session's.
        context: of the run.
        pilot: whether it only tells which rate to go on with.
        most_s: seconds of measuring that it may take; a block is measured in any case.
    """
    jobs = [(each, each.next_job(context)) for each in contestants if not each.first.failed]
    began_s = context.clock()
    with ExitStack() as stack:
        session = MeasuringSession(number, context, stack)
        session.start([job for _, job in jobs])
        loading_s, measuring_s = context.clock() - began_s, 0.0
        blocks, done = 1, 0
        while done < blocks:
            context.progress.step(f"session {number + 1}: {_told([job for _, job in jobs])}")
            with finishing(context.progress.note):
                session.block(done, _drawn(jobs[0][1], session, f"{context.seed}/{number}/{done}"))
            done += 1
            measuring_s = max(context.clock() - began_s - loading_s, 1e-6)
            if not pilot and done == 1:
                beside = schedule.blocks_beside(loading_s, cycle_s=measuring_s)
                blocks = max(int(min(beside, most_s / measuring_s)), 1)
        session.finish()
    for each, job in jobs:
        each.take(job, number, context, pilot=pilot)
    return loading_s, measuring_s


def _told(jobs: Sequence[Job]) -> str:
    """Return at what loads cells are."""
    loads = [load_of(job.cell) for job in jobs]
    counts = sorted({load.streams or load.rate_per_s for load in loads})
    what = "live streams" if loads[0].streams else "requests/s"
    if len(counts) > 2:
        return f"{len(jobs)} at {counts[0]:g} to {counts[-1]:g} {what}"
    return f"{' and '.join(f'{count:g}' for count in counts)} {what}"


def _drawn(job: Job, session: MeasuringSession, seed: str) -> tuple[str, ...]:
    """Return what arrives in a pass, drawn anew."""
    procedure = procedures.of(job.cell.protocol)
    assert isinstance(procedure, OpenLoop)
    return procedure.drawn(session.chunks, random.Random(f"{seed}/requests"))
