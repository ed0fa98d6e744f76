"""Finds the capacity of engines: session after session, until the budget is spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtfbench.base.core_count import cores_here
from rtfbench.base.errors import InputError
from rtfbench.base.memory import MemoryLimit
from rtfbench.embed import audio_input
from rtfbench.measure import schedule
from rtfbench.measure.capacity_search import Contestant, at_load, measure_session
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.machine import environment
from rtfbench.measure.open_loop import load_of
from rtfbench.measure.plan import Plan, resolve_plan
from rtfbench.measure.whole_run import INTERRUPTED, OK, SOME_FAILED, Audience, to_json
from rtfbench.models.workload import Prepared
from rtfbench.report import markdown
from rtfbench.report.capacity import of_capacity
from rtfbench.report.document import Document
from rtfbench.results.capacity import Capacity, CapacityAnswer, EngineCapacity, row_of
from rtfbench.results.load import Load
from rtfbench.results.store import ENVIRONMENT, RunFolder

UNDECIDED = 3
JSON, MARKDOWN = "capacity.json", "capacity.md"


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
        answer = search.answer(latency_ms=latency_ms, slo=slo, host=host.cpu_kind)
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
            context.folder.append(job.data.declaration)
            if each.refusal is not None:
                job.end(context.folder, each.refusal.status, each.refusal.reason)
            self._all.append(Contestant.of(job, latency_s=latency_s, slo=slo))

    @property
    def _running(self) -> list[Contestant]:
        return [each for each in self._all if not each.failed]

    def run(self, budget_s: float) -> None:
        """Measure session after session, as long as one more fits the budget; two at least."""
        context, began_s = self._context, self._context.clock()
        while self._running and (self._sessions < 2 or self._spent_s + self._session_s <= budget_s):
            session_s = context.clock()
            measure_session(self._running, self._sessions, context, pilot=not self._sessions)
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

    def answer(self, *, latency_ms: float, slo: float, host: str) -> CapacityAnswer:
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
