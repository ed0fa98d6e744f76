"""How the cells of a protocol are measured: what the parent starts, and what a worker does.

Both sides import this, so what only the parent needs is imported where it is used: whatever a
worker loads counts in the memory that is told of its cell.
"""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rtfbench.base.child import Interpreter
from rtfbench.measure.messages import Measure, WorkerSpec
from rtfbench.results import protocols
from rtfbench.results.cells import Cell
from rtfbench.results.records import Record

if TYPE_CHECKING:
    from rtfbench.measure.cell_worker import CellWorker
    from rtfbench.measure.workers import CellProcess


class Procedure(ABC):
    """How one protocol is measured; it keeps nothing, so that one serves all cells."""

    def start(
        self, spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None
    ) -> "CellProcess":
        """Start, in the parent, what measures a cell: a process, if nothing else is said."""
        from rtfbench.measure.workers import Worker

        return Worker(spec, logs, interpreter)

    def slots(
        self, chunks: Mapping[str, int], cell: Cell, *, wanted: float
    ) -> list[tuple[str, ...]]:
        """Split utterances, each of so many chunks, into what is measured in one turn of a cell.

        The cell is any of a comparison: all of them get the same. A turn should have as many chunks
        as are wanted.
        """
        from rtfbench.measure import schedule

        return schedule.portions(chunks, wanted=wanted)

    def turn_s(self, cell: Cell, utterances: int, computed_s: float) -> float:
        """Return how long a turn takes about: as long as it computes, if nothing else is said."""
        return computed_s

    @abstractmethod
    def measure(self, worker: "CellWorker", order: Measure) -> Iterator[Record]:
        """Measure, in the worker, one turn of its cell; the worker has just run a chunk untimed.

        Between two reads of the clock stands only the call.
        """


class KeptSession(Procedure):
    """The session that was rehearsed when the worker opened is the one that is timed."""

    def measure(self, worker: "CellWorker", order: Measure) -> Iterator[Record]:
        """Run utterances through the session that is open."""
        for name in order.utterances:
            yield worker.timed(order, name, worker.kept, worker.first_chunk_ns)


class FreshSessions(Procedure):
    """A session for every utterance, whose first run is timed."""

    def measure(self, worker: "CellWorker", order: Measure) -> Iterator[Record]:
        """Open a session for each utterance, and run it."""
        for name in order.utterances:
            opened = worker.open_session()
            try:
                yield worker.timed(order, name, opened)
            finally:
                opened.session.close()


@cache
def of(name: str) -> Procedure:
    """Return how a protocol's cells are measured."""
    found = pkgutil.resolve_name(protocols.named(name).procedure)()
    if not isinstance(found, Procedure):
        raise TypeError(f"{protocols.named(name).procedure} is no Procedure")
    return found


def start(spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None) -> "CellProcess":
    """Start what measures a cell, as its protocol says."""
    return of(spec.cell.protocol).start(spec, logs, interpreter)
