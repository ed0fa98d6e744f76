"""What all sessions of a run share: its folder, its machine, and where it tells what it does."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtfbench.base.child import Interpreter
from rtfbench.base.core_count import cores_to_pin
from rtfbench.base.errors import InputError
from rtfbench.base.memory import MemoryLimit
from rtfbench.base.pace import Progress
from rtfbench.embed.audio_input import Source
from rtfbench.measure.machine.core import Ceiling
from rtfbench.measure.machine.devices import ceiling_of, meter_of
from rtfbench.measure.machine.energy import Meter
from rtfbench.measure.machine.health import Counters, read_counters
from rtfbench.measure.messages import WorkerSpec
from rtfbench.measure.procedures import start
from rtfbench.measure.resuming import Kept
from rtfbench.measure.workers import CellProcess
from rtfbench.models.resolve import Resolved
from rtfbench.models.workload import Prepared, prepare
from rtfbench.results.lines import HALF_WIDTH
from rtfbench.results.store import RunFolder

#: After so many turns in a row that never were undisturbed, what disturbs is there to stay; and
#: after so many of one cell, its turns are longer than the pauses.
GIVES_UP, GIVES_UP_CELL = 3, 2


class Patience:
    """Says how often a turn may be taken, and counts.

    Whoever is busy all the time slows all cells alike, and is not waited for: after some turns that
    never were undisturbed each is taken once, and counts as it is, until one is quiet again.
    """

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._in_a_row = 0
        self._lost: Counter[str] = Counter()
        #: Seconds that turns may take yet that do not count.
        self.left_s = math.inf
        #: How often a turn was taken, and how often it did not count.
        self.taken, self.discarded = 0, 0

    def tries(self, cell_id: str) -> int:
        """Return how often a cell's next turn may be taken."""
        return 1 if self._gave_up(cell_id) else self._tries

    def counts(self, cell_id: str, *, quiet: bool, took_s: float) -> bool:
        """Say whether a turn that was taken counts: it was quiet, or there is no time for more."""
        self.taken += 1
        found = quiet or self._gave_up(cell_id) or took_s > self.left_s
        if not found:
            self.discarded += 1
            self.left_s -= took_s
        return found

    def end(self, cell_id: str, *, quiet: bool) -> None:
        """End a turn: it was quiet at last, or never."""
        self._in_a_row = 0 if quiet else self._in_a_row + 1
        self._lost[cell_id] = 0 if quiet else self._lost[cell_id] + 1

    def _gave_up(self, cell_id: str) -> bool:
        return self._in_a_row >= GIVES_UP or self._lost[cell_id] >= GIVES_UP_CELL


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
    half_width: float = HALF_WIDTH
    #: Recordings that each cell embeds once, outside of the clock, for trials.
    scored: tuple[Source, ...] = ()
    #: For turns in which nobody else wants the same cores; without it each counts as it is.
    patience: Patience | None = None
    clock: Callable[[], float] = time.monotonic
    spawn: Callable[[WorkerSpec, Path, Interpreter | None], CellProcess] = start
    counters: Callable[[Iterable[int]], Counters] = read_counters
    #: Of a device, by its name.
    ceiling_of: Callable[[str], Ceiling | None] = ceiling_of
    meter_of: Callable[[str], Meter | None] = meter_of

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
