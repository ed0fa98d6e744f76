"""Several processes of one cell at work on one queue: the throughput protocol."""

import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from rtfbench.base.child import ChildSilent, Interpreter
from rtfbench.embed import reference
from rtfbench.measure import schedule
from rtfbench.measure.machine.devices import meter_of
from rtfbench.measure.machine.energy import Stopwatch
from rtfbench.measure.messages import (
    Check,
    Command,
    Done,
    Embed,
    Loaded,
    Measure,
    Ready,
    Reply,
    Warm,
    Work,
    Worked,
    WorkerSpec,
)
from rtfbench.measure.procedures import Procedure
from rtfbench.measure.workers import CellProcess, Worker
from rtfbench.results.cells import Cell
from rtfbench.results.lines import Outcome
from rtfbench.results.records import Record

if TYPE_CHECKING:
    from rtfbench.measure.cell_worker import CellWorker

#: A process has its next task at hand when it is done with one.
TASKS_AT_HAND = 2


class Team:
    """A `CellProcess` of several workers, each on cores of its own.

    To a session, it is one process whose pass over a queue is one record: the wall time from
    the first task that is handed out to the last that is done.
    """

    #: Its members would be out of step if an answer were asked for in parts.
    works_as_it_answers = True

    def __init__(
        self,
        spec: WorkerSpec,
        logs: Path,
        interpreter: Interpreter | None = None,
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._spec, self.clock = spec, clock
        self._chunks: Mapping[str, int] = {}
        self._asked: Command | None = None
        self._replies: deque[Reply] = deque()
        self.members: list[Worker] = []
        try:
            for number in range(spec.cell.jobs):
                first = number * spec.cell.threads
                own: dict[str, object] = {"cores": spec.cores[first : first + spec.cell.threads]}
                if number:  # the first keeps the embeddings
                    own |= {"embeddings": None, "scored": ()}
                of_member = spec.model_copy(update=own)
                self.members.append(Worker(of_member, logs, interpreter, member=number))
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of all its processes."""
        return tuple(member.pid for member in self.members)

    def send(self, command: Command, /) -> None:
        """Remember what is asked; it is done when the answer is asked for."""
        self._asked = command

    def receive(self, timeout_s: float, /) -> Reply:
        """Do what was asked, and return the next answer."""
        if not self._replies:
            asked, self._asked = self._asked, None
            match asked:
                case None:
                    self._replies += first_failure(self._all(timeout_s)) or [self._loaded]
                case Measure():
                    self._replies += self._passed(asked, timeout_s)
                case Embed():
                    self._replies.append(_ask(self.members[0], asked, timeout_s))
                case _:  # one after the other, so that none disturbs another
                    found = [_ask(member, asked, timeout_s) for member in self.members]
                    self._replies += first_failure(found) or [_merged(found)]
        return self._replies.popleft()

    def pause(self) -> None:
        """Stop all processes."""
        for member in self.members:
            member.pause()

    def resume(self) -> None:
        """Let all go on."""
        for member in self.members:
            member.resume()

    def close(self) -> None:
        """End all processes."""
        with ExitStack() as stack:
            for member in self.members:
                stack.callback(member.close)

    def _all(self, timeout_s: float) -> list[Reply]:
        """Take an answer of each process, which all work at once."""
        found = [member.receive(timeout_s) for member in self.members]
        for reply in found:
            if isinstance(reply, Loaded):
                self._loaded, self._chunks = reply, reply.chunks
        return found

    def _together(self, command: Command, timeout_s: float) -> list[Reply]:
        """Have all processes do something at once."""
        for member in self.members:
            member.send(command)
        return self._all(timeout_s)

    def _passed(self, order: Measure, timeout_s: float) -> list[Reply]:
        """Run a turn of the cell, and return its record, or what failed."""
        if failed := first_failure(self._together(Warm(), timeout_s)):
            return failed
        found = self._turn(order, timeout_s)
        failed = first_failure([found]) or first_failure(self._together(Check(), timeout_s))
        return failed or [found, Done()]

    def _turn(self, order: Measure, timeout_s: float) -> Reply:
        """Run a queue, and return its record, or what failed."""
        tasks = tasks_of(order.utterances, self._chunks, batch=self._spec.cell.batch)
        watch = Stopwatch(meter_of(self._spec.cell.device))
        began = self.clock()
        done = self._run(tasks, timeout_s)
        wall_ns = self.clock() - began
        spent = watch.spent()
        if failed := first_failure([reply for _, reply in done]):
            return failed[0]
        energy = {"energy_uj": spent.uj, "energy_ns": spent.ns}
        return record_of(self._spec, order, done, wall_ns=wall_ns).model_copy(update=energy)

    def _run(
        self, tasks: Sequence[tuple[str, ...]], timeout_s: float
    ) -> list[tuple[tuple[str, ...], Reply]]:
        """Hand out tasks to members that are free, and return them with their answers."""
        waiting, done = deque(tasks), []
        at_hand: dict[Worker, deque[tuple[str, ...]]] = {each: deque() for each in self.members}
        for _ in range(TASKS_AT_HAND):
            for member, own in at_hand.items():
                _hand_out(member, own, waiting)
        while busy := [member for member, own in at_hand.items() if own]:
            readable, _, _ = select.select(busy, [], [], timeout_s)
            if not readable:
                raise ChildSilent.after(timeout_s)
            for member in readable:
                while True:
                    reply = member.receive(timeout_s)
                    done.append((at_hand[member].popleft(), reply))
                    if isinstance(reply, Outcome):
                        return done
                    _hand_out(member, at_hand[member], waiting)
                    if not member.has_answer:
                        break
        return done


class Queue(Procedure):
    """A queue that a team of processes works off."""

    #: What is started, in the parent.
    team: ClassVar[type[Team]] = Team

    def start(
        self, spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None
    ) -> CellProcess:
        """Start a team."""
        return self.team(spec, logs, interpreter)

    def slots(
        self, chunks: Mapping[str, int], cell: Cell, *, wanted: float
    ) -> list[tuple[str, ...]]:
        """Split utterances into queues that keep every process busy."""
        return schedule.queues(chunks, wanted=wanted, jobs=cell.jobs, batch=cell.batch)

    def measure(self, worker: "CellWorker", order: Measure) -> Iterator[Record]:
        """Refuse: a team's workers are told to `Work`."""
        raise NotImplementedError("a queue is measured by a team, task by task")


def _ask(member: Worker, command: Command, timeout_s: float) -> Reply:
    member.send(command)
    return member.receive(timeout_s)


def _hand_out(member: Worker, own: deque[tuple[str, ...]], waiting: deque[tuple[str, ...]]) -> None:
    if waiting:
        own.append(waiting.popleft())
        member.send(Work(utterances=own[-1]))


def tasks_of(
    utterances: Sequence[str], chunks: Mapping[str, int], *, batch: int
) -> list[tuple[str, ...]]:
    """Cut a queue into tasks (pure): the longest first, enough in each to fill a batch."""
    tasks: list[tuple[str, ...]] = []
    task: list[str] = []
    for name in sorted(utterances, key=lambda name: (-chunks[name], name)):
        task.append(name)
        if sum(chunks[each] for each in task) >= batch:
            tasks.append(tuple(task))
            task = []
    return [*tasks, tuple(task)] if task else tasks


def record_of(
    spec: WorkerSpec, order: Measure, done: Sequence[tuple[tuple[str, ...], Reply]], *, wall_ns: int
) -> Record:
    """Return the record of a pass (pure)."""
    worked = [(names, reply) for names, reply in done if isinstance(reply, Worked)]
    replies = [reply for _, reply in worked]
    chunk_ns = tuple(ns for reply in replies for ns in reply.chunk_ns)
    return Record(
        cell_id=spec.cell_id,
        session=spec.session,
        block=order.block,
        position=order.position,
        utterance=f"queue of {len(order.utterances)} from {order.utterances[0]}",
        audio_ns=sum(reply.audio_ns for reply in replies),
        padded_audio_ns=sum(reply.padded_audio_ns for reply in replies),
        load_ns=max(reply.load_ns for reply in replies),
        first_chunk_ns=max(reply.first_chunk_ns for reply in replies),
        frontend_ns=sum(reply.frontend_ns for reply in replies) // spec.cell.jobs,
        engine_ns=sum(chunk_ns) // spec.cell.jobs,
        processing_ns=wall_ns,
        chunk_ns=chunk_ns,
        cpu_ns=sum(reply.cpu_ns for reply in replies),
        queued=tuple(name for names, _ in worked for name in names),
        utterance_ns=tuple(reply.processing_ns for names, reply in worked for _ in names),
    )


def first_failure(replies: Sequence[Reply]) -> list[Reply]:
    """Return the first answer that ends the cell, nothing where there is none."""
    return [*[each for each in replies if isinstance(each, Outcome) and each.status != "ok"][:1]]


def _merged(replies: Sequence[Reply]) -> Reply:
    """Return what all processes say as if one said it: their memory adds up."""
    first = replies[0]
    ready = [reply for reply in replies if isinstance(reply, Ready)]
    ended = [reply for reply in replies if isinstance(reply, Outcome)]
    if isinstance(first, Ready):
        return first.model_copy(
            update={
                "load_ns": max(each.load_ns for each in ready),
                "chunk_ns": max(each.chunk_ns for each in ready),
                "peak_rss_bytes": _sum([each.peak_rss_bytes for each in ready]),
                "steady_rss_bytes": _sum([each.steady_rss_bytes for each in ready]),
            }
        )
    if isinstance(first, Outcome):
        found = reference.worst(each.parity for each in ended if each.parity is not None)
        return first.model_copy(update={"parity": found})
    return first


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
