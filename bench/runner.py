"""Runs a sweep: starts workers, lets those of a group take turns, appends what they answer."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from bench.child import ChildError, ChildSilent, Worker
from bench.environment import usable_cores
from bench.messages import Done, Measure, Ready, Source, Stop, WorkerSpec
from bench.plan import Plan, weight
from bench.records import Cell, Declaration, Outcome, Record, Status
from bench.schedule import Turn, block_turns
from bench.store import RunFolder
from bench.workload import Prepared, Users, prepare

#: Enough for a narrow interval on a quiet machine; the budget usually ends a group earlier.
MAX_BLOCKS = 32

Spawn = Callable[[WorkerSpec, Path], Worker]


class Progress(Protocol):
    """Where a run tells what it is doing."""

    def phase(self, text: str) -> None:
        """Say what begins now."""
        ...

    def advance(self, done: float) -> None:
        """Say which share of all measuring is done, 0 to 1."""
        ...


@dataclass
class Job:
    """A cell on its way through a run."""

    prepared: Prepared
    cell_id: str
    ready: Ready | None = None
    ended: bool = False

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.prepared.cell

    def __str__(self) -> str:
        cell = self.cell
        return f"{cell.model}, {cell.engine_label}, {cell.form}, {cell.protocol}"


class Runner:
    """One run into one folder. Clock and spawner are arguments so that tests need not wait."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        sources: Sequence[Source],
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        spawn: Spawn = Worker,
        users: Users | None = None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._sources = tuple(sources)
        self._progress = progress
        self._clock = clock
        self._spawn = spawn
        self._users = users
        self._cores = usable_cores()

    def run(self, cells: Sequence[Cell]) -> None:
        """Measure every cell; each ends with an `Outcome`, whatever happens to it.

        Cells that the folder holds as ok already are left as they are. After Ctrl-C, all that was
        measured is in the folder.
        """
        done = self._folder.finished()
        ready = prepare(
            cells,
            self._sources,
            cores=len(self._cores),
            logs=self._folder.logs,
            phase=self._progress.phase,
            users=self._users,
        )
        jobs = [job for job in map(_job, ready) if job.cell_id not in done]
        try:
            for job in jobs:
                self._declare(job)
            self._measure([job for job in jobs if not job.ended])
        except KeyboardInterrupt:
            for job in jobs:
                if not job.ended:
                    self._end(job, "failed", "interrupted")
            raise

    def _declare(self, job: Job) -> None:
        artifact = job.prepared.artifact
        self._folder.append(
            Declaration(
                cell_id=job.cell_id,
                cell=job.cell,
                title=job.prepared.title,
                params=artifact.params if artifact else None,
                flops=artifact.flops if artifact else None,
                flops_basis=artifact.flops_basis if artifact else "",
                about=artifact.about if artifact else "",
                macs=artifact.macs if artifact else None,
                artifact_sha256=artifact.sha256 if artifact else "",
                denormal_share=artifact.denormal_share if artifact else None,
                artifact_bytes=artifact.path.stat().st_size if artifact else None,
            )
        )
        if job.prepared.refusal is not None:
            self._end(job, job.prepared.refusal.status, job.prepared.refusal.reason)

    def _measure(self, jobs: Sequence[Job]) -> None:
        groups = [list(group) for _, group in groupby(jobs, key=lambda job: job.cell.group)]
        weights = [weight(self._plan, group[0].cell) for group in groups]
        spent_s = 0.0
        for index, group in enumerate(groups):
            share_s = (self._plan.budget_s - spent_s) * weights[index] / sum(weights[index:])
            spent_s += self._measure_group(group, share_s, spent_s)
        self._progress.advance(1.0)

    def _measure_group(self, jobs: Sequence[Job], share_s: float, spent_s: float) -> float:
        """Let a group's workers take turns, one block at least, until its share is spent.

        Returns:
            The seconds that measuring took; loading is not in it.
        """
        with ExitStack() as stack:
            workers: dict[str, tuple[Job, Worker]] = {}
            for job in jobs:
                self._progress.phase(f"loading {job}")
                worker = stack.enter_context(self._spawn(self._spec(job), self._folder.logs))
                workers[job.cell_id] = (job, worker)
                self._await_ready(job, worker)
            began_s = self._clock()
            longest_s = 0.0
            for block in range(MAX_BLOCKS):
                block_began_s = self._clock()
                if block and block_began_s - began_s + longest_s > share_s:
                    break
                turning = [cell_id for cell_id, (job, _) in workers.items() if not job.ended]
                for turn in block_turns(turning, block=block, seed=self._plan.seed):
                    job, worker = workers[turn.cell_id]
                    if not job.ended:
                        self._progress.phase(f"block {block + 1}: {job}")
                        self._take_turn(job, worker, turn)
                    measured_s = spent_s + self._clock() - began_s
                    self._progress.advance(min(measured_s / self._plan.budget_s, 1.0))
                longest_s = max(longest_s, self._clock() - block_began_s)
            took_s = self._clock() - began_s
            for job, worker in workers.values():
                if not job.ended:
                    self._finish(job, worker)
        return took_s

    def _spec(self, job: Job) -> WorkerSpec:
        assert job.prepared.artifact is not None
        assert job.prepared.reference is not None
        return WorkerSpec(
            cell_id=job.cell_id,
            cell=job.cell,
            artifact=job.prepared.artifact,
            sources=self._sources,
            reference=job.prepared.reference,
            embeddings=self._folder.embeddings.resolve() / f"{job.cell_id}.npz",
            cores=tuple(self._cores[: job.cell.threads]),
        )

    def _await_ready(self, job: Job, worker: Worker) -> None:
        self._listen(job, worker, until=Ready)

    def _take_turn(self, job: Job, worker: Worker, turn: Turn) -> None:
        self._listen(job, worker, Measure(block=turn.block, position=turn.position), until=Done)

    def _finish(self, job: Job, worker: Worker) -> None:
        self._listen(job, worker, Stop(), until=Outcome)

    def _listen(
        self,
        job: Job,
        worker: Worker,
        command: Measure | Stop | None = None,
        *,
        until: type[Ready] | type[Done] | type[Outcome],
    ) -> None:
        """Send a command and take answers until the awaited one; a failure ends the cell."""
        try:
            if command is not None:
                worker.send(command)
            while not job.ended:
                reply = worker.receive(self._plan.timeout_s)
                match reply:
                    case Record():
                        self._folder.append(reply)
                    case Ready():
                        job.ready = reply
                    case Outcome():
                        self._end(job, reply.status, reply.reason, reply)
                if isinstance(reply, until):
                    return
        except ChildSilent as error:
            worker.close()
            self._end(job, "timed_out", str(error))
        except ChildError as error:
            worker.close()
            self._end(job, "failed", str(error))

    def _end(
        self, job: Job, status: Status, reason: str = "", outcome: Outcome | None = None
    ) -> None:
        """Write how a cell ended, with what is known of its runtime."""
        ready = job.ready
        self._folder.append(
            Outcome(
                cell_id=job.cell_id,
                status=status,
                reason=reason,
                version=ready.version if ready else "",
                build=ready.build if ready else "",
                note=ready.note if ready else "",
                effective=outcome.effective if outcome else {},
                parity=outcome.parity if outcome else None,
            )
        )
        job.ended = True


def _job(prepared: Prepared) -> Job:
    artifact = prepared.artifact
    return Job(prepared, prepared.cell.id(artifact.sha256 if artifact else ""))
