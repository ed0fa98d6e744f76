"""Finds the capacity of engines: sessions of fresh processes, until the budget is spent.

Each session is at the rate that the capacity of its cell seems to be by then. Cells take turns, and
get the same recordings in the same order; arrivals are the same draw, at each cell's own rate.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from rtfbench.base.core_count import cores_here
from rtfbench.base.errors import InputError
from rtfbench.base.interruption import finishing
from rtfbench.base.memory import MemoryLimit
from rtfbench.embed import audio_input
from rtfbench.measure import procedures, schedule
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.machine import environment
from rtfbench.measure.open_loop import OpenLoop, load_of
from rtfbench.measure.plan import Plan, resolve_plan
from rtfbench.measure.session import MeasuringSession
from rtfbench.measure.whole_run import INTERRUPTED, OK, SOME_FAILED, Audience, to_json
from rtfbench.models.workload import Prepared
from rtfbench.report import markdown
from rtfbench.report.capacity import of_capacity
from rtfbench.report.document import Document
from rtfbench.results.capacity import (
    Capacity,
    CapacityAnswer,
    EngineCapacity,
    Requests,
    pass_of,
    row_of,
)
from rtfbench.results.load import MOST_RATE_PER_S, Load
from rtfbench.results.records import Record
from rtfbench.results.store import ENVIRONMENT, RunFolder

UNDECIDED = 3
JSON, MARKDOWN = "capacity.json", "capacity.md"
#: The first session only tells which rate to begin with. More arrives in it than is probably
#: served, so that it is soon over: so many requests within the latency, or streams, a process.
FIRST_RATE, FIRST_STREAMS = 100.0, 10


@dataclass(frozen=True)
class FoundCapacity:
    """The answer, its folder, what is told, and the exit status that it calls for."""

    folder: Path
    answer: CapacityAnswer
    document: Document
    status: int


def find_capacity(
    plan: Plan,
    path: Path,
    audience: Audience,
    *,
    latency_ms: float,
    slo: float,
    overwrite: bool = False,
    least: float | None = None,
) -> FoundCapacity:
    """Find the highest rate of requests at which a share of them stays within a latency.

    Args:
        plan: one condition of a protocol that offers requests, at the rate of the first session,
            for each process; that only tells which rate to begin with.
        path: the folder for records and answer.
        audience: is told what goes on.
        latency_ms: what a request may take, from when it is due.
        slo: the share of the requests that have to keep it.
        overwrite: whether what the folder holds is replaced.
        least: what every engine has to hold, in requests a second or in live streams.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    here, jobs = cores_here(), plan.jobs[0] if plan.jobs else 1
    if jobs * plan.threads[0] > here.count:
        raise InputError(
            f"--jobs {jobs} of --threads {plan.threads[0]}: {here.told()}; take fewer of either"
        )
    resolved = resolve_plan(plan, say=audience.say)
    checked = audio_input.check_audio(
        plan.audio,
        channel=plan.channel,
        resample=plan.resample,
        front_end=resolved.audio_front_end,
        windows=plan.cut,
    )
    if checked.errors:
        raise InputError(checked.errors[0])
    seed = schedule.draw_seed() if plan.seed is None else plan.seed
    with RunFolder.create(path, overwrite=overwrite, resume=False) as folder:
        host = environment.describe_host(
            audio=[source.name for source in checked.sources],
            audio_s=checked.audio_s,
            audio_sha256=checked.sha256,
            seed=seed,
        )
        folder.write(ENVIRONMENT, to_json(host))
        interrupted = False
        with audience.progress() as progress:
            context = RunContext(
                folder=folder,
                sources=tuple(checked.sources),
                progress=progress,
                seed=seed,
                timeout_s=plan.timeout_s,
                memory=MemoryLimit.of_megabytes(plan.max_rss_mb),
            )
            search = _CapacitySearch(context.prepare(resolved), context, latency_ms / 1e3, slo)
            try:
                search.run(plan.budget_s)
            except KeyboardInterrupt:
                interrupted = True
            search.end()
        answer = search.answer(
            latency_ms=latency_ms, slo=slo, budget_s=plan.budget_s, host=host.cpu_kind
        )
        told = of_capacity(answer)
        folder.write(JSON, answer.model_dump_json(indent=2) + "\n")
        folder.write(MARKDOWN, markdown.draw(told))
    status = INTERRUPTED if interrupted else search.status(answer)
    if least is not None and status in (OK, UNDECIDED):
        found = {_held_status(each, answer.load, least) for each in answer.engines}
        status = SOME_FAILED if SOME_FAILED in found else max(status, *found)
    return FoundCapacity(path, answer, told, status)


def _held_status(each: EngineCapacity, load: Load, least: float) -> int:
    """Return the status of an engine that has to hold so many: failed where it surely does not."""
    least_per_s = least / load.hop_s if load.streams else least
    if each.interval is None or each.interval[0] <= least_per_s <= each.interval[1]:
        return UNDECIDED
    return OK if each.interval[0] > least_per_s else SOME_FAILED


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
            job.declare(context.folder)
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
        rate_per_s, latency_s = job.cell.rate_per_s, self.requests.latency_s
        passes = [pass_of(each, rate_per_s=rate_per_s, latency_s=latency_s) for each in records]
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

    Contestants that failed are left out. A pilot only tells which rate to go on with. Blocks are
    measured for `most_s` seconds, but one in any case.
    """
    jobs = [(each, each.next_job(context)) for each in contestants if not each.first.failed]
    procedure = procedures.of(jobs[0][1].cell.protocol)
    assert isinstance(procedure, OpenLoop)
    began_s = context.clock()
    with ExitStack() as stack:
        session = MeasuringSession(number, context, stack)
        session.start([job for _, job in jobs])
        loading_s, measuring_s = context.clock() - began_s, 0.0
        blocks, done = 1, 0
        while done < blocks:
            offered = "overload, to see about how much is held" if pilot else _told(jobs)
            context.progress.step(f"session {number + 1}: {offered}")
            with finishing(context.progress.note):
                drawn = Random(f"{context.seed}/{number}/{done}/requests")
                session.block(done, procedure.drawn(session.chunks, drawn))
            done += 1
            measuring_s = max(context.clock() - began_s - loading_s, 1e-6)
            if not pilot and done == 1:
                beside = schedule.blocks_beside(loading_s, cycle_s=measuring_s)
                blocks = max(int(min(beside, most_s / measuring_s)), 1)
        session.finish()
    with finishing(context.progress.note):  # all have the same sessions, or their ratio is none
        for each, job in jobs:
            each.take(job, number, context, pilot=pilot)
    return loading_s, measuring_s


def _told(jobs: Sequence[tuple[Contestant, Job]]) -> str:
    """Return at what loads cells are."""
    loads = [load_of(job.cell) for _, job in jobs]
    counts = sorted({load.streams or load.rate_per_s for load in loads})
    what = "live streams" if loads[0].streams else "requests/s"
    if len(counts) > 2:
        return f"{len(jobs)} at {counts[0]:g} to {counts[-1]:g} {what}"
    return f"{' and '.join(f'{count:g}' for count in counts)} {what}"


class _CapacitySearch:
    """Engines that take turns."""

    def __init__(
        self, prepared: Sequence[Prepared], context: RunContext, latency_s: float, slo: float
    ) -> None:
        self._context = context
        self._sessions, self._spent_s, self._session_s = 0, 0.0, 0.0
        self._all: list[Contestant] = []
        for each in prepared:
            load = load_of(each.cell)
            job = Job.of(at_load(each, load.at(load.rate_per_s * each.cell.jobs)))
            job.declare(context.folder)
            self._all.append(Contestant.of(job, latency_s=latency_s, slo=slo))

    def run(self, budget_s: float) -> None:
        """Measure session after session, as long as one more fits the budget; two at least."""
        context, began_s = self._context, self._context.clock()
        while not all(each.failed for each in self._all) and (
            self._sessions < 2 or self._spent_s + self._session_s <= budget_s
        ):
            session_s = context.clock()
            measure_session(self._all, self._sessions, context, pilot=not self._sessions)
            self._sessions += 1
            self._spent_s = context.clock() - began_s
            # The first one is short, and tells nothing of how long others take.
            self._session_s = context.clock() - session_s
            if self._sessions > 1:
                more = int((budget_s - self._spent_s) / self._session_s)
                context.progress.left(max(more, 0) * self._session_s)

    def end(self) -> None:
        """Write how every cell ended."""
        for each in self._all:
            each.end(self._context)

    def answer(
        self, *, latency_ms: float, slo: float, budget_s: float, host: str
    ) -> CapacityAnswer:
        """Return what was found.

        Raises:
            KeyboardInterrupt: it was interrupted before anything was.
        """
        rows: list[EngineCapacity] = []
        first: Capacity | None = None
        for each in self._all:
            label = each.first.cell.engine_label
            if each.failed:
                rows.append(EngineCapacity(engine=label, why=each.failed))
                continue
            if not each.requests.sessions:
                raise KeyboardInterrupt
            row, found = row_of(label, each.requests, first, each.records, seed=self._context.seed)
            rows.append(row)
            first = found if each is self._all[0] else first
        prepared = self._all[0].first.prepared
        cell = prepared.cell
        return CapacityAnswer(
            title=prepared.title,
            setting=(cell.chunk_samples, cell.threads, cell.jobs),
            latency_ms=latency_ms,
            slo=slo,
            load=load_of(cell),
            engines=tuple(rows),
            sessions=max(self._sessions - 1, 0),
            spent_s=self._spent_s,
            budget_s=budget_s,
            seed=self._context.seed,
            host=host,
        )

    def status(self, answer: CapacityAnswer) -> int:
        """Return the exit status that an answer calls for."""
        if any(each.failed for each in self._all):
            return SOME_FAILED
        lacking = [each for each in answer.engines if each.interval is None]
        if not lacking:
            return OK
        return SOME_FAILED if any(each.service_ms and each.why for each in lacking) else UNDECIDED
