"""A machine that is scripted: workers without processes, and a clock that only they move.

    crash = Fault("dies", "measuring", session=1, turn=3)
    machine = ScriptedMachine({"fast": Script(chunk_s=0.01), "mad": Script(fault=crash)})
    folder = machine.measure(Plan(engines=("fast", "mad"), protocols=("steady",)), path)

What travels between parent and worker are the lines that a real pipe would carry. A worker that is
paused does not answer, one that is silent costs its time limit, and a closed one is gone: what the
parent forgets shows in what it measures.
"""

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel

from rtfbench.base.child import ChildDied, ChildSilent, Interpreter, read_answer
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.pace import Progress
from rtfbench.engines.protocol import ModelArtifact
from rtfbench.measure.context import Patience, RunContext
from rtfbench.measure.machine.health import Counters
from rtfbench.measure.messages import (
    REPLY,
    Command,
    Done,
    Loaded,
    Measure,
    Open,
    Ready,
    Reply,
    Stop,
    WorkerSpec,
)
from rtfbench.measure.plan import Plan, expand
from rtfbench.measure.queueing import (
    Imagined,
    WaitingLine,
    arrivals_ns,
    own_of,
    serve,
    with_those_before,
)
from rtfbench.measure.resuming import Kept
from rtfbench.measure.runner import Runner
from rtfbench.models.resolve import Resolved
from rtfbench.models.workload import Prepared, Refusal
from rtfbench.results.cells import Cell, Parity, Status
from rtfbench.results.lines import Outcome
from rtfbench.results.load import Load
from rtfbench.results.records import Record
from rtfbench.results.store import RunFolder, finished_of

#: A process has loaded its audio after so many seconds.
LOADING_S = 0.5
#: Whoever else is busy makes everything take so many times as long.
BUSY_FACTOR = 1.7
#: Parts of an utterance's time; the rest is the harness's own.
FRONTEND_SHARE, ENGINE_SHARE = 0.04, 0.95
CHUNK_AUDIO_S = 2.0
WRONG = "utterance first: largest error 5.0e-01 of the largest reference value"
RIGHT = Parity(cosine=1.0, max_rel_err=0.0, ok=True)
NOT_AN_ANSWER = b"free(): invalid pointer"

Phase = Literal["loading", "opening", "measuring", "stopping"]
PHASE_OF: Mapping[type[Command], Phase] = {
    Open: "opening",
    Measure: "measuring",
    Stop: "stopping",
}
#: `is gone` ends before it takes the command, `dies` before it answers.
What = Literal["dies", "is gone", "is silent", "sends garbage", "is wrong"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when: in which session, and at which of the turns that it takes there.

    A turn that goes wrong has measured its first utterance before.
    """

    what: What
    when: Phase
    session: int = 0
    turn: int = 0


@dataclass(frozen=True)
class Script:
    """How a cell behaves; seconds.

    `luck` is the spread (of the logarithm) from process to process, `noise` that from slot to slot.
    `surprise` is how many times as long chunks take as the process says when it is ready;
    `proof_s` is what the proofs of a first session take.
    """

    chunk_s: float = 0.3
    load_s: float = 0.1
    proof_s: float = 0.0
    luck: float = 0.0
    noise: float = 0.0
    surprise: float = 1.0
    fault: Fault | None = None
    peak_rss_bytes: int = 100_000_000


class ScriptedClock:
    """Seconds that pass only when a worker runs, or is waited for in vain."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self._now_s

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


class FixedCeiling:
    """A peak that is not measured."""

    name = "said"

    def gflops(self, threads: int) -> float:
        """Return the same always."""
        return 100.0 * threads


class Turn(NamedTuple):
    """A worker was told to measure; `awake` says how many were not paused while it did."""

    model: str
    label: str
    session: int
    block: int
    position: int
    utterances: tuple[str, ...]
    awake: int


class _Answer(NamedTuple):
    """What a worker says and after how many seconds; without a line it dies.

    `measured_s` is the part of the seconds that counts as measuring.
    """

    line: bytes | None
    after_s: float = 0.0
    measured_s: float = 0.0


class ScriptedWorker:
    """A `CellProcess` that is no process."""

    works_as_it_answers = False

    def __init__(self, machine: "ScriptedMachine", spec: WorkerSpec) -> None:
        self.spec = spec
        self.pid = len(machine.workers) + 1
        self.pids = (self.pid,)
        self.awake = True
        self.closed = False
        self._machine = machine
        self._script = machine.script_of(spec.cell)
        self._gone = False
        self._turns = 0
        seed = f"{machine.seed}/{spec.cell.model}/{label_of(spec.cell)}/{spec.session}"
        self._random = random.Random(seed)
        longer = machine.longer(spec.cell)
        self._chunks = {name: math.ceil(n / longer) for name, n in machine.chunks.items()}
        self._said_s = longer * self._script.chunk_s / self._script.surprise
        self._chunk_s = longer * self._script.chunk_s * self._factor(self._script.luck)
        self._answers = deque(self._spoilt("loading", [_said(self._loaded(), LOADING_S)]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, command: Command, /) -> None:
        """Take a command; a paused worker does so too, and answers once it is resumed."""
        assert not self.closed, f"worker {self.pid} is closed and is sent {command}"
        phase = PHASE_OF[type(command)]
        if self._trouble(phase) == "is gone":
            self._gone = True
        if self._gone:
            raise ChildDied("worker ended early, killed by SIGKILL")
        match command:
            case Open():
                ready = self._ready()
                answers = [_said(ready, self._script.load_s + ready.proof_ns / 1e9)]
            case Measure():
                answers = self._measured(command)
            case Stop():
                answers = [_said(self._outcome("ok"))]
        self._answers += self._spoilt(phase, answers)
        self._turns += isinstance(command, Measure)

    def receive(self, timeout_s: float, /) -> Reply:
        """Return the next answer; time passes for it."""
        assert not self.closed, f"worker {self.pid} is closed and is listened to"
        machine = self._machine
        machine.count_call()
        if not (self.awake and self._answers and self._answers[0].after_s <= timeout_s):
            machine.clock.run(timeout_s)
            raise ChildSilent(f"no answer within {timeout_s:g} s")
        answer = self._answers.popleft()
        machine.clock.run(answer.after_s)
        machine.measured_s += answer.measured_s
        if answer.line is None:
            self._gone = True
            raise ChildDied("worker ended early, killed by SIGSEGV")
        return read_answer(REPLY, answer.line)

    def pause(self) -> None:
        """Stop it."""
        self.awake = False

    def resume(self) -> None:
        """Let it go on."""
        self.awake = True

    def close(self) -> None:
        """End it."""
        self.awake, self.closed = False, True

    def _trouble(self, phase: Phase) -> What | None:
        """Return what goes wrong now."""
        fault = self._script.fault
        if fault is None or (fault.when, fault.session) != (phase, self.spec.session):
            return None
        return fault.what if phase != "measuring" or fault.turn == self._turns else None

    def _spoilt(self, phase: Phase, answers: list[_Answer]) -> list[_Answer]:
        """Return the answers, those from the fault on replaced by it."""
        what = self._trouble(phase)
        if what is None:
            return answers
        trouble = {
            "dies": _Answer(None),
            "is gone": _Answer(None),
            "is silent": _Answer(b"", math.inf),
            "sends garbage": _Answer(NOT_AN_ANSWER),
            "is wrong": _said(self._outcome("wrong_output")),
        }[what]
        return [*(answers[:1] if phase == "measuring" else []), trouble]

    def _loaded(self) -> Loaded:
        return Loaded(chunks=self._chunks)

    def _ready(self) -> Ready:
        script = self._script
        ns = _ns(self._said_s)
        spec = self.spec
        weighs = spec.session == 0 if spec.proves is None else spec.proves
        return Ready(
            version="1.0",
            build="",
            note="",
            load_ns=_ns(script.load_s),
            first_chunk_ns=ns,
            chunk_ns=ns,
            proof_ns=_ns(script.proof_s) if weighs else 0,
            peak_rss_bytes=script.peak_rss_bytes if weighs else None,
            steady_rss_bytes=script.peak_rss_bytes if weighs else None,
        )

    def _measured(self, order: Measure) -> list[_Answer]:
        """Return a record for each utterance; before the first there is an untimed chunk."""
        self._machine.note_turn(self.spec, order)
        slot = self._factor(self._script.noise)
        if self.spec.cell.load is not None:
            return self._offered(order, self.spec.cell.load, slot)
        answers, untimed_s = [], self._chunk_s
        now_s = self._machine.clock()
        for name in order.utterances:
            opening_s = self._script.load_s if self.spec.cell.protocol == "published" else 0.0
            chunks = self._chunks[name]
            before_s = untimed_s + opening_s
            took_s = self._machine.stretched(self._chunk_s * slot * chunks, now_s + before_s)
            record = self._record(order, name, took_s / chunks, took_s)
            after_s = before_s + took_s
            answers.append(_said(record, after_s, measured_s=after_s))
            untimed_s = 0.0
            now_s += after_s
        return [*answers, _said(Done())]

    def _offered(self, order: Measure, load: Load, slot: float) -> list[_Answer]:
        """Return the record of a pass at which requests arrive, as a team makes it."""
        names, chunks = order.utterances, self._chunks
        due_ns = arrivals_ns(
            load, 2 * len(names), seed=f"{order.block}/{self.spec.session}/{order.position}"
        )
        each_ns = [
            _ns(self._chunk_s * slot * chunks[name] * self._factor(self._script.noise))
            for name in names
        ]
        line = WaitingLine(self.spec.cell.jobs)
        kept, due_ns = with_those_before(due_ns, each_ns, line)
        counter = Imagined([each_ns[each % len(names)] for each in kept])
        passed = serve(due_ns, counter, line)
        wall_ns = counter.now_ns()
        told = own_of(
            passed, first=len(kept) - len(names), wall_ns=wall_ns, busy_ns=wall_ns, load=load
        )
        record = self._record(order, names[0], self._chunk_s, sum(each_ns) / 1e9)
        found = record.model_copy(update={"queued": names} | told)
        return [_said(found, wall_ns / 1e9, measured_s=wall_ns / 1e9), _said(Done())]

    def _record(self, order: Measure, name: str, chunk_s: float, took_s: float) -> Record:
        chunks = self._chunks[name]
        return Record(
            cell_id=self.spec.cell_id,
            session=self.spec.session,
            block=order.block,
            position=order.position,
            utterance=name,
            audio_ns=_ns(CHUNK_AUDIO_S * chunks),
            padded_audio_ns=_ns(CHUNK_AUDIO_S * chunks),
            load_ns=_ns(self._script.load_s),
            first_chunk_ns=_ns(chunk_s),
            frontend_ns=_ns(took_s * FRONTEND_SHARE),
            engine_ns=_ns(chunk_s * ENGINE_SHARE) * chunks,
            processing_ns=_ns(took_s),
            chunk_ns=(_ns(chunk_s * ENGINE_SHARE),) * chunks,
            cpu_ns=_ns(took_s),
        )

    def _outcome(self, status: Status) -> Outcome:
        right = status == "ok"
        return Outcome(
            cell_id=self.spec.cell_id,
            status=status,
            reason="" if right else WRONG,
            parity=Parity(
                cosine=1.0 if right else 0.5, max_rel_err=0.0 if right else 0.5, ok=right
            ),
        )

    def _factor(self, spread: float) -> float:
        return math.exp(self._random.gauss(0.0, spread))


class ScriptedMachine:
    """Starts scripted workers, and remembers what they were told.

    Args:
        scripts: `engine` or `engine (replica)`, with or without `model: ` before it, -> how it
            behaves; others are as `Script` says.
        chunks: utterance -> number of chunks.
        seed: of luck and noise.
        refused: engine -> why it cannot be measured.
        interrupt_at: Ctrl-C comes when the parent listens for the so many-th time, from 1.
        busy_s: for so many seconds others are busy, and then for as many not; None never.
        in_proportion: `chunks` and scripts are of chunks of 2 s, other sizes in proportion; else
            they are of every size.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] | None = None,
        *,
        chunks: Mapping[str, int] | None = None,
        seed: int = 0,
        refused: Mapping[str, str] | None = None,
        interrupt_at: int | None = None,
        busy_s: float | None = None,
        in_proportion: bool = False,
    ) -> None:
        self.chunks = chunks or {"only": 10}
        self.seed = seed
        self.refused = refused or {}
        self.clock = ScriptedClock()
        self.workers: list[ScriptedWorker] = []
        self.turns: list[Turn] = []
        self.most_at_once = 0
        self.calls = 0
        #: Seconds that blocks took, loading, opening and waiting in vain left out.
        self.measured_s = 0.0
        self._scripts = scripts or {}
        self._interrupt_at = interrupt_at
        self._busy_s = busy_s
        self._in_proportion = in_proportion

    def longer(self, cell: Cell) -> float:
        """Return how many times as long as those of 2 s a cell's chunks are."""
        return cell.chunk_samples / PUBLISHED_CHUNK_SAMPLES if self._in_proportion else 1.0

    def spawn(
        self, spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None
    ) -> ScriptedWorker:
        """Start a worker."""
        worker = ScriptedWorker(self, spec)
        self.workers.append(worker)
        alive = sum(not each.closed for each in self.workers)
        self.most_at_once = max(self.most_at_once, alive)
        return worker

    def script_of(self, cell: Cell) -> Script:
        """Return how a cell behaves; a replica is like its original if nothing else is said."""
        names = (label_of(cell), cell.engine)
        return next(
            (
                self._scripts[name]
                for name in [*(f"{cell.model}: {each}" for each in names), *names]
                if name in self._scripts
            ),
            Script(),
        )

    def count_call(self) -> None:
        """Count how often the parent listened, and interrupt it if it is time."""
        self.calls += 1
        if self.calls == self._interrupt_at:
            raise KeyboardInterrupt

    def note_turn(self, spec: WorkerSpec, order: Measure) -> None:
        """Remember a turn."""
        awake = sum(worker.awake for worker in self.workers)
        cell = spec.cell
        self.turns.append(
            Turn(
                cell.model,
                label_of(cell),
                spec.session,
                order.block,
                order.position,
                order.utterances,
                awake,
            )
        )

    def stretched(self, work_s: float, now_s: float) -> float:
        """Return how long a work takes that begins now, which others may slow for some time."""
        if self._busy_s is None:
            return work_s
        end_s, period = now_s, int(now_s // self._busy_s)
        while True:
            factor = 1.0 if period % 2 else BUSY_FACTOR
            left_s = (period + 1) * self._busy_s - end_s
            if work_s * factor <= left_s:
                return end_s + work_s * factor - now_s
            work_s -= left_s / factor
            end_s += left_s
            period += 1

    def counters(self, pids: Iterable[int]) -> Counters:
        """Tell the time and how long tasks waited; only workers that are there can be asked."""
        assert not [pid for pid in pids if self.workers[pid - 1].closed]
        now_s, waiting_s = self.clock(), None
        if self._busy_s is not None:
            periods, rest_s = divmod(now_s, 2 * self._busy_s)
            waiting_s = periods * self._busy_s + min(rest_s, self._busy_s)
        return Counters(now_s, None, None, waiting_s, None, None, None)

    def context(
        self,
        folder: RunFolder,
        plan: Plan | None = None,
        progress: Progress | None = None,
        *,
        patience: Patience | None = None,
    ) -> RunContext:
        """Return what sessions share, this machine being the one that they run on."""
        plan = plan or Plan()
        return ScriptedContext(
            folder=folder,
            sources=(),
            kept=Kept(finished_of(folder.cells())),
            progress=progress or Progress(),
            cores=range(8),
            seed=plan.seed or 0,
            timeout_s=plan.timeout_s,
            half_width=plan.half_width,
            clock=self.clock,
            spawn=self.spawn,
            counters=self.counters,
            ceiling_of=lambda _: FixedCeiling(),
            patience=patience,
            refused=self.refused,
        )

    def measure(
        self,
        plan: Plan,
        path: Path,
        *,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> RunFolder:
        """Run a plan into a folder."""
        folder = RunFolder.create(path, overwrite=False, resume=resume)
        cells = expand(plan, lambda _: "dynamic")
        runner = Runner(plan, self.context(folder, plan, progress))
        runner.run(runner.take_up(Resolved(cells)))
        return folder


@dataclass
class ScriptedContext(RunContext):
    """A context in which every model file is there already."""

    refused: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, resolved: Resolved) -> list[Prepared]:
        """Return the cells with a file that no worker reads, or with their refusal."""
        return [
            Prepared(cell, cell.model, refusal=Refusal("unsupported", self.refused[cell.engine]))
            if cell.engine in self.refused
            else prepared(cell)
            for cell in resolved.cells
        ]


def prepared(cell: Cell) -> Prepared:
    """Return a cell with a file that no worker reads."""
    artifact = ModelArtifact(
        name=cell.model,
        path=Path(__file__),
        format="onnx",
        form="dynamic",
        num_frames=None,
        feat_dim=80,
        embedding_dim=4,
        sha256="0" * 64,
    )
    return Prepared(cell, cell.model, artifact, Path(__file__))


def label_of(cell: Cell) -> str:
    """Return the engine, with the replica's name where it is one."""
    return f"{cell.engine} ({cell.replica})" if cell.replica else cell.engine


def _said(value: BaseModel, after_s: float = 0.0, *, measured_s: float = 0.0) -> _Answer:
    return _Answer(value.model_dump_json().encode(), after_s, measured_s)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
