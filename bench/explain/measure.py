"""Engines take turns, each in a process of its own, with the profiler and without."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.child import Child, ChildError
from rtfbench.base.core_count import usable_cores
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.explain.process import (
    REPLY,
    Command,
    Failed,
    Finish,
    Profile,
    ProfileOpened,
    ProfileSpec,
    ProfileTurn,
    Reply,
    Turned,
)
from rtfbench.explain.subject import RuntimeVersion, Subject, artifact_of
from rtfbench.measure.machine.core import Ceiling
from rtfbench.measure.schedule import SLOT_S, block_turns
from rtfbench.models.workload import Prepared

#: Sets of fresh processes: which memory a process gets is luck that only a new one redraws.
SESSIONS = 4
#: A session has so many blocks at least, however short the budget is.
FEWEST_BLOCKS = 2
#: Runs of a turn, at most, of either kind.
MOST_RUNS = 20
#: The first answer waits for model and runtime, the last for the profile's file.
TIMEOUT_S = 600.0


@dataclass
class Profiled:
    """An engine with what was measured of it; times are lists of blocks, a list a session.

    A block's time is that of one run in nanoseconds: the geometric mean of two slots' medians.
    """

    prepared: Prepared
    version: RuntimeVersion | None = None
    opened: ProfileOpened | None = None
    failed: str = ""
    plain_ns: list[list[float]] = field(default_factory=list)
    profiled_ns: list[list[float]] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The engine as it was asked for, with its version where it is one of several."""
        return self.version.name if self.version else self.prepared.cell.engine_label


@dataclass
class MeasuredEngines:
    """All engines, and what the machine's cores reached between the blocks, in GFLOP/s."""

    engines: list[Profiled]
    peak_gflops: list[float] = field(default_factory=list)


def measure(
    subject: Subject,
    *,
    budget_s: float,
    seed: int,
    progress: Progress,
    ceiling: Ceiling | None,
    clock: Callable[[], float] = time.monotonic,
) -> MeasuredEngines:
    """Profile every engine; one that fails is left behind with its reason.

    Args:
        subject: what is explained.
        budget_s: seconds of measuring, loading apart.
        seed: of the order of turns.
        progress: is told what goes on.
        ceiling: what the cores can do at best, None where that is not measured.
        clock: of seconds.
    """
    sides = zip_longest(subject.cells, subject.versions)
    found, began_s = MeasuredEngines([Profiled(*each) for each in sides]), clock()
    for number in range(SESSIONS):
        alive = [engine for engine in found.engines if not engine.failed]
        with ExitStack() as stack:
            logs = Path(stack.enter_context(TemporaryDirectory(dir=process_folder())))
            session = _ProfilingSession(subject, alive, logs, stack)
            for engine in alive:
                progress.phase(f"session {number + 1} of {SESSIONS}: loading {engine.label}")
                session.open(engine)
            until, block = clock() + budget_s / SESSIONS, 0
            progress.phase(f"session {number + 1} of {SESSIONS}: measuring")
            while session.alive and (block < FEWEST_BLOCKS or clock() < until):
                session.block(block, seed=seed, number=number)
                if ceiling is not None:
                    found.peak_gflops.append(ceiling.gflops(subject.cells[0].cell.threads))
                block += 1
            session.finish()
        progress.left((SESSIONS - number - 1) * (clock() - began_s) / (number + 1))
    return found


class _ProfilingSession:
    """Fresh processes, one an engine; all but the one at work are stopped."""

    def __init__(
        self, subject: Subject, engines: list[Profiled], logs: Path, stack: ExitStack
    ) -> None:
        self._subject, self._logs, self._stack = subject, logs, stack
        self._names = {engine.label: engine for engine in engines}
        self._children: dict[str, Child[Reply]] = {}
        for engine in engines:
            engine.plain_ns.append([])
            engine.profiled_ns.append([])

    @property
    def alive(self) -> bool:
        """Whether there is an engine left."""
        return any(not self._names[label].failed for label in self._children)

    def open(self, engine: Profiled) -> None:
        """Start an engine's process, and stop it once its sessions are open."""
        prepared = engine.prepared
        assert prepared.reference is not None
        cores = usable_cores()
        spec = ProfileSpec(
            cell=prepared.cell,
            artifact=artifact_of(prepared),
            speech=self._subject.speech,
            reference=prepared.reference,
            cores=tuple(cores[: prepared.cell.threads]),
        )
        child = Child(
            "rtfbench.explain.worker",
            spec.model_dump_json(),
            f"engine-{len(self._children)}",
            logs=self._logs,
            replies=REPLY,
            interpreter=engine.version.python if engine.version else None,
        )
        self._children[engine.label] = self._stack.enter_context(child)
        match self._ask(engine, None):
            case ProfileOpened() as opened:
                engine.opened = opened
        child.pause()

    def block(self, block: int, *, seed: int, number: int) -> None:
        """Let every engine have two turns, the second in the reverse order."""
        labels = [label for label in self._children if not self._names[label].failed]
        slots: dict[str, list[Turned]] = {label: [] for label in labels}
        for label in block_turns(labels, block=block, seed=seed, session=number):
            engine = self._names[label]
            if engine.failed or engine.opened is None:
                continue
            order = ProfileTurn(
                runs=_runs(engine.opened),
                # Once this way and once the other: the order of both kinds cancels in a block.
                profiled_first=(block + len(slots[label])) % 2 == 1,
            )
            match self._awake(engine, order):
                case Turned() as turned:
                    slots[label].append(turned)
        for label, turns in slots.items():
            engine = self._names[label]
            if len(turns) == 2 and not engine.failed:
                engine.plain_ns[-1].append(_mean([turn.plain_ns for turn in turns]))
                if turns[0].profiled_ns:
                    engine.profiled_ns[-1].append(_mean([turn.profiled_ns for turn in turns]))

    def finish(self) -> None:
        """Take the profiles."""
        for label in self._children:
            engine = self._names[label]
            if engine.failed:
                continue
            match self._awake(engine, Finish()):
                case Profile() as profile if profile.runs:
                    engine.profiles.append(profile)

    def _awake(self, engine: Profiled, command: Command) -> Reply | None:
        """Ask a stopped process; threads that spin in wait would take a core from the others."""
        child = self._children[engine.label]
        child.resume()
        try:
            return self._ask(engine, command)
        finally:
            child.pause()

    def _ask(self, engine: Profiled, command: Command | None) -> Reply | None:
        """Send a command and return the answer; a failure ends the engine."""
        child = self._children[engine.label]
        try:
            if command is not None:
                child.send(command)
            reply = child.receive(TIMEOUT_S)
        except ChildError as error:
            engine.failed = str(error)
            return None
        if isinstance(reply, Failed):
            engine.failed = reply.reason
            return None
        return reply


def _runs(opened: ProfileOpened) -> int:
    """Return how many runs of both kinds fill a slot."""
    return max(1, min(MOST_RUNS, round(SLOT_S * 1e9 / opened.round_ns)))


def _mean(slots: list[tuple[int, ...]]) -> float:
    return statistics.geometric_mean(statistics.median(slot) for slot in slots)
