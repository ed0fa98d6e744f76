"""What all sessions of a run share: its folder, its machine, and where it tells what it does."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.base.child import Interpreter
from bench.base.errors import InputError
from bench.base.memory import MemoryLimit
from bench.embed.audio_input import Source
from bench.machine.cores import cores_to_pin
from bench.machine.health import Counters, read_counters
from bench.machine.peak import Ceiling, ceiling
from bench.measure.messages import WorkerSpec
from bench.measure.patience import Patience
from bench.measure.resuming import Kept
from bench.measure.team import start
from bench.measure.workers import CellProcess
from bench.models.resolve import Resolved
from bench.models.workload import Prepared, prepare
from bench.results.lines import PRECISION
from bench.results.store import RunFolder

Spawn = Callable[[WorkerSpec, Path, Interpreter | None], CellProcess]
ReadCounters = Callable[[Iterable[int]], Counters]


class Progress(Protocol):
    """Where a run tells what it is doing."""

    def phase(self, text: str) -> None:
        """Say what begins now."""
        ...

    def step(self, text: str) -> None:
        """Say what begins within a phase."""
        ...

    def note(self, text: str) -> None:
        """Say what a user should know and might change."""
        ...

    def advance(self, done: float) -> None:
        """Say which share of all measuring is done, 0 to 1."""
        ...


class Silent:
    """Progress where nobody looks."""

    def phase(self, text: str) -> None:
        """Say nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def advance(self, done: float) -> None:
        """Say nothing."""


@dataclass
class RunContext:
    """What all sessions of a run share.

    Clock, spawner, counters and ceiling are given, so that a test can script a machine.
    """

    folder: RunFolder
    sources: tuple[Source, ...]
    progress: Progress
    cores: Sequence[int] = field(default_factory=cores_to_pin)
    seed: int = 0
    timeout_s: float = 120.0
    #: What the folder holds that need not be measured again.
    kept: Kept = field(default_factory=Kept)
    memory: MemoryLimit = field(default_factory=MemoryLimit)
    half_width: float = PRECISION
    #: Recordings that each cell embeds once, outside of the clock, for trials.
    scored: tuple[Source, ...] = ()
    #: For turns in which nobody else wants the same cores; without it each counts as it is.
    patience: Patience | None = None
    clock: Callable[[], float] = time.monotonic
    spawn: Spawn = start
    counters: ReadCounters = read_counters
    ceiling: Ceiling = field(default_factory=ceiling)

    def prepare(self, resolved: Resolved) -> list[Prepared]:
        """Return cells with their files; what the cache lacks is made."""
        return prepare(
            resolved,
            self.sources,
            cores=len(self.cores),
            logs=self.folder.logs,
            phase=self.progress.phase,
            memory=self.memory,
        )

    def prepare_one(self, resolved: Resolved) -> Prepared:
        """Return the only cell, which has to be measured.

        Raises:
            InputError: it cannot be.
        """
        (prepared,) = self.prepare(resolved)
        if prepared.refusal is not None:
            cell = prepared.cell
            raise InputError(f"{cell.model} on {cell.engine}: {prepared.refusal.reason}")
        return prepared
