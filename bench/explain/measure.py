"""Engines take turns, each in a process of its own, with the profiler and without."""

import statistics
import time
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
from rtfbench.measure.machine.devices import ceiling_of
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


def measure(
    subject: Subject, *, budget_s: float, progress: Progress
) -> tuple[list[Profiled], list[float]]:
    """Profile every engine; one that fails is left behind with its reason.

    `budget_s` is for measuring, loading apart. Returned are all engines, and what the machine's
    cores reached between the blocks, in GFLOP/s.
    """
    cell, clock = subject.cells[0].cell, time.monotonic
    ceiling = ceiling_of(cell.device)
    engines = [Profiled(*each) for each in zip_longest(subject.cells, subject.versions)]
    peak_gflops: list[float] = []
    began_s = clock()
    for number in range(SESSIONS):
        with ExitStack() as stack:
            session = _ProfilingSession(subject, number, stack)
            for engine in engines:
                if not engine.failed:
                    progress.phase(f"session {number + 1} of {SESSIONS}: loading {engine.label}")
                    session.open(engine)
            until, block = clock() + budget_s / SESSIONS, 0
            progress.phase(f"session {number + 1} of {SESSIONS}: measuring")
            while session.alive and (block < FEWEST_BLOCKS or clock() < until):
                session.block(block)
                if ceiling is not None:
                    peak_gflops.append(ceiling.gflops(cell.threads))
                block += 1
            session.finish()
        progress.left((SESSIONS - number - 1) * (clock() - began_s) / (number + 1))
    return engines, peak_gflops


class _ProfilingSession:
    """Fresh processes, one an engine; all but the one at work are stopped."""

    def __init__(self, subject: Subject, number: int, stack: ExitStack) -> None:
        self._subject, self._number, self._stack = subject, number, stack
        self._logs = Path(stack.enter_context(TemporaryDirectory(dir=process_folder())))
        self._engines: dict[str, Profiled] = {}
        self._children: dict[str, Child[Reply]] = {}

    @property
    def alive(self) -> list[str]:
        """The labels of the engines that are left."""
        return [label for label, engine in self._engines.items() if not engine.failed]

    def open(self, engine: Profiled) -> None:
        """Start an engine's process, and stop it once its sessions are open."""
        prepared = engine.prepared
        assert prepared.reference is not None
        spec = ProfileSpec(
            cell=prepared.cell,
            artifact=artifact_of(prepared),
            speech=self._subject.speech,
            reference=prepared.reference,
            cores=tuple(usable_cores()[: prepared.cell.threads]),
        )
        engine.plain_ns.append([])
        engine.profiled_ns.append([])
        self._engines[engine.label] = engine
        child = Child(
            "rtfbench.explain.worker",
            spec.model_dump_json(),
            f"engine-{len(self._children)}",
            logs=self._logs,
            replies=REPLY,
            interpreter=engine.version.python if engine.version else None,
        )
        self._children[engine.label] = self._stack.enter_context(child)
        match self._ask(engine):
            case ProfileOpened() as opened:
                engine.opened = opened

    def block(self, block: int) -> None:
        """Let every engine have two turns, the second in the reverse order."""
        slots: dict[str, list[Turned]] = {label: [] for label in self.alive}
        seed = self._subject.seed
        for label in block_turns(list(slots), block=block, seed=seed, session=self._number):
            engine = self._engines[label]
            if engine.failed or engine.opened is None:
                continue
            order = ProfileTurn(
                # Runs of both kinds fill a slot.
                runs=max(1, min(MOST_RUNS, round(SLOT_S * 1e9 / engine.opened.round_ns))),
                # Once this way and once the other: the order of both kinds cancels in a block.
                profiled_first=(block + len(slots[label])) % 2 == 1,
            )
            match self._ask(engine, order):
                case Turned() as turned:
                    slots[label].append(turned)
        for label, turns in slots.items():
            engine = self._engines[label]
            if len(turns) == 2 and not engine.failed:
                engine.plain_ns[-1].append(_mean([turn.plain_ns for turn in turns]))
                if turns[0].profiled_ns:
                    engine.profiled_ns[-1].append(_mean([turn.profiled_ns for turn in turns]))

    def finish(self) -> None:
        """Take the profiles."""
        for label in self.alive:
            match self._ask(self._engines[label], Finish()):
                case Profile() as profile if profile.runs:
                    self._engines[label].profiles.append(profile)

    def _ask(self, engine: Profiled, command: Command | None = None) -> Reply | None:
        """Send a command and return the answer; a failure ends the engine.

        The process is stopped before and after: threads that spin in wait would take a core from
        the others.
        """
        child = self._children[engine.label]
        child.resume()
        try:
            if command is not None:
                child.send(command)
            reply = child.receive(TIMEOUT_S)
            if not isinstance(reply, Failed):
                return reply
            engine.failed = reply.reason
        except ChildError as error:
            engine.failed = str(error)
        finally:
            child.pause()
        return None


def _mean(slots: list[tuple[int, ...]]) -> float:
    return statistics.geometric_mean(statistics.median(slot) for slot in slots)
