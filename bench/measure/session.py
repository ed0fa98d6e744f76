"""One session: a fresh process for each cell, and the turns that they take."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rtfbench.base.child import ChildError, ChildSilent
from rtfbench.base.memory import ChildTooLarge
from rtfbench.measure.context import Patience, RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.machine import health
from rtfbench.measure.machine.energy import idle
from rtfbench.measure.machine.health import Counters
from rtfbench.measure.messages import (
    Command,
    Done,
    Embed,
    Loaded,
    Measure,
    Open,
    Ready,
    Reply,
    Stop,
    WorkerSpec,
)
from rtfbench.measure.schedule import block_turns
from rtfbench.measure.workers import CellProcess
from rtfbench.results.lines import Outcome
from rtfbench.results.noise import disturbances
from rtfbench.results.records import Health, Record

#: A process embeds so many recordings of trials within the time of one answer.
SCORED_AT_ONCE = 50
#: What keeps a process from its cores. Others may be busy on cores that it does not use, and of the
#: time that they take, the kernel's ticks tell too little within a turn.
KEPT_WAITING = frozenset({"steal", "pressure", "throttled"})


@dataclass
class _Slot:
    """A cell with its process."""

    job: Job
    worker: CellProcess


class MeasuringSession:
    """The processes of one session, alive at once; all but the one at work are stopped."""

    def __init__(self, number: int, context: RunContext, stack: ExitStack) -> None:
        self._number = number
        self._context = context
        self._stack = stack
        self._slots: list[_Slot] = []
        #: Utterance -> number of chunks, known once a process has loaded.
        self.chunks: Mapping[str, int] = {}
        #: Seconds that were spent on answers that never came.
        self.waited_s = 0.0
        #: Seconds that the proofs of a first session took.
        self.proved_s = 0.0
        #: Seconds that embedding the recordings of the trials took, and for how many cells.
        self.scored_s, self.scored = 0.0, 0

    def start(self, jobs: Sequence[Job]) -> None:
        """Start a process for each job; all load together, but open one by one.

        The order is random: where a process stands among those that start moves its times by some
        tenths of a percent, so no cell may always come last.
        """
        jobs = list(jobs)
        random.Random(f"{self._context.seed}/{self._number}").shuffle(jobs)
        for device in {job.cell.device for job in jobs}:
            self._context.ceiling_of(device)  # what has to be built for it is, before any clock
        progress, loading = self._context.progress, f"session {self._number + 1}: loading"
        if jobs:
            progress.phase(f"{loading} 1 of {len(jobs)}, {jobs[0]}")
        started = [_Slot(job, worker) for job in jobs if (worker := self._spawn(job))]
        for slot in started:
            self._listen(slot, until=Loaded)
        for number, slot in enumerate(started, 1):
            progress.step(f"{loading} {number} of {len(started)}, {slot.job}")
            with self._awake(slot):
                self._listen(slot, Open(), until=Ready)
        for slot in started:
            self._embed_scored(slot)
        self._slots += started

    def leave_out(self, job: Job) -> None:
        """End a cell's process: it takes no turns in this session."""
        for slot in self._slots:
            if slot.job is job:
                slot.worker.close()
        self._slots = [slot for slot in self._slots if slot.job is not job]

    def _embed_scored(self, slot: _Slot) -> None:
        """Have a process embed the recordings of the trials, some at a time: all take long."""
        names = [source.name for source in self._context.scored]
        if not names or slot.job.cell.replica or slot.job.failed or slot.job.embedded:
            return
        self._context.progress.phase(f"embedding {len(names)} recordings of trials: {slot.job}")
        began_s = self._context.clock()
        with self._awake(slot):
            for first in range(0, len(names), SCORED_AT_ONCE):
                some = tuple(names[first : first + SCORED_AT_ONCE])
                self._listen(slot, Embed(utterances=some), until=Done)
        slot.job.embedded = True
        self.scored_s += self._context.clock() - began_s
        self.scored += 1

    def block(self, block: int, utterances: tuple[str, ...]) -> None:
        """Let the processes take their turns, and write down what else the machine did."""
        slots = {slot.job.cell_id: slot for slot in self._running()}
        if not slots:
            return
        context = self._context
        before = context.counters(self._pids())
        turns = block_turns(list(slots), block=block, seed=context.seed, session=self._number)
        for position, slot in enumerate(slots[cell_id] for cell_id in turns):
            order = Measure(block=block, position=position, utterances=utterances)
            if slot.job.failed:
                continue
            with self._awake(slot):
                if context.patience is None:
                    self._listen(slot, order, until=Done)
                else:
                    self._wait_for_quiet(slot, order, context.patience)
        first = next(iter(slots.values())).job
        line = self._health(first, block, before, self._pids())
        held, more = context.ceiling_of(first.cell.device), dict[str, Any]()
        if held is not None:
            more["peak_gflops"] = round(held.gflops(first.cell.threads), 2)
        self._keep(first, line.model_copy(update=more | self._idle(slots.values())))

    def _health(self, job: Job, block: int, before: Counters, pids: Iterable[int]) -> Health:
        """Return what went on in the machine since then."""
        after = self._context.counters(pids)
        cell_id, session = job.cell_id, self._number
        return health.between(before, after, cell_id=cell_id, session=session, block=block)

    def _idle(self, slots: Iterable[_Slot]) -> dict[str, Any]:
        """Return what the devices spend while all processes are stopped, as a line has it."""
        names = {slot.job.cell.device for slot in slots}
        meters = {name: meter for name in names if (meter := self._context.meter_of(name))}
        found = {name: each for name, each in idle(meters).items() if each.uj is not None}
        if not found:
            return {}
        longest_ns = max(each.ns or 0 for each in found.values())
        return {"idle_ns": longest_ns, "idle_uj": {name: each.uj for name, each in found.items()}}

    def _wait_for_quiet(self, slot: _Slot, order: Measure, patience: Patience) -> None:
        """Measure a turn until nothing disturbs it, and keep that one only."""
        quiet, cell_id = False, slot.job.cell_id
        for _ in range(patience.tries(cell_id)):
            before, began_s = self._context.counters(slot.worker.pids), self._context.clock()
            taken: list[Record] = []
            self._listen(slot, order, until=Done, into=taken)
            if slot.job.failed:
                return
            # Nothing kept the process from its cores since then.
            line = self._health(slot.job, order.block, before, slot.worker.pids)
            quiet = KEPT_WAITING.isdisjoint(disturbances(line))
            took_s = self._context.clock() - began_s
            if patience.counts(cell_id, quiet=quiet, took_s=took_s):
                for record in taken:
                    self._keep(slot.job, record)
                break
        patience.end(cell_id, quiet=quiet)

    def finish(self) -> None:
        """Have the processes write their embeddings and end."""
        for slot in self._running():
            slot.worker.resume()
            self._listen(slot, Stop(), until=Outcome)

    def _pids(self) -> Iterator[int]:
        return (pid for slot in self._running() for pid in slot.worker.pids)

    def _running(self) -> list[_Slot]:
        return [slot for slot in self._slots if not slot.job.failed]

    def _spawn(self, job: Job) -> CellProcess | None:
        """Start a process; a cell whose process the system does not start ends here."""
        context = self._context
        assert job.prepared.artifact is not None
        assert job.prepared.reference is not None
        embeddings = context.folder.embeddings.resolve() / f"{job.cell_id}.npz"
        first = job.ready is None
        spec = WorkerSpec(
            cell_id=job.cell_id,
            cell=job.cell,
            artifact=job.prepared.artifact,
            sources=context.sources,
            reference=job.prepared.reference,
            scored=context.scored if first and not job.cell.replica else (),
            embeddings=embeddings if first and not job.cell.replica else None,
            cores=tuple(context.cores[: job.cell.cores]),
            session=self._number,
            # A job that joins after the first session is proved in its own first one.
            proves=None if first == (self._number == 0) else first,
        )
        try:
            worker = context.spawn(spec, context.folder.logs, job.interpreter)
        except OSError as error:
            job.end(context.folder, "failed", f"no worker could be started: {error}")
            return None
        return self._stack.enter_context(worker)

    @contextmanager
    def _awake(self, slot: _Slot) -> Iterator[None]:
        """Let a process run, and stop it again: threads that spin in wait would take a core."""
        if not slot.job.failed:
            slot.worker.resume()
        yield
        if not slot.job.failed:
            slot.worker.pause()

    def _listen(
        self,
        slot: _Slot,
        command: Command | None = None,
        *,
        until: type[Loaded] | type[Ready] | type[Done] | type[Outcome],
        into: list[Record] | None = None,
    ) -> None:
        """Send a command and take answers until the awaited one; a failure ends the cell.

        Records are kept as they come, or go into a list where the caller decides what counts.
        """
        job, worker, context = slot.job, slot.worker, self._context
        if job.failed:
            return

        def receive(timeout_s: float) -> Reply:
            # While the clock runs, memory is not looked at: the peak is known when it has stopped.
            if isinstance(command, Measure) or worker.works_as_it_answers:
                return worker.receive(timeout_s)
            return context.memory.wait(worker.pids[0], worker.receive, timeout_s)

        try:
            if command is not None:
                worker.send(command)
            while not job.failed:
                reply = receive(context.timeout_s)
                match reply:
                    case Loaded():
                        self.chunks = reply.chunks
                    case Ready():
                        job.ready = job.ready or reply
                        self.proved_s += reply.proof_ns / 1e9
                    case Record() if into is not None:
                        into.append(reply)
                    case Record():
                        self._keep(job, reply)
                    case Outcome():
                        job.take(reply)
                        if reply.status != "ok":
                            job.end(context.folder, reply.status, reply.reason)
                if isinstance(reply, until):
                    break
            context.memory.check(*worker.pids)
        except ChildTooLarge as error:
            worker.close()
            job.end(context.folder, "out_of_memory", str(error))
        except ChildSilent as error:
            self.waited_s += context.timeout_s
            worker.close()
            job.end(context.folder, "timed_out", str(error))
        except ChildError as error:
            worker.close()
            job.end(context.folder, "failed", str(error))

    def _keep(self, job: Job, line: Record | Health) -> None:
        """Write a line, and remember it for the looks."""
        if isinstance(line, Record):
            job.data.records.append(line)
        else:
            job.data.health.append(line)
        self._context.folder.append(line)
