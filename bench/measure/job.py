"""A cell on its way through a run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rtfbench.base.child import Interpreter
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.embed.reference import worst
from rtfbench.measure.messages import Ready
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import GHOST, Cell, Effective, Parity, Status
from rtfbench.results.lines import Declaration, Outcome
from rtfbench.results.store import CellData, RunFolder


def without_home(text: str) -> str:
    """Write paths in the home folder from there on; a home that is the root stands for nothing."""
    home = Path.home()
    return text if home == home.parent else text.replace(f"{home}/", "~/")


@dataclass
class Job:
    """A cell on its way through a run, with all that it has answered."""

    prepared: Prepared
    data: CellData
    ready: Ready | None = None
    parities: list[Parity] = field(default_factory=list)
    effective: Effective = field(default_factory=dict)
    failed: bool = False
    #: Whether the recordings of the trials are embedded.
    embedded: bool = False
    #: The Python that its workers run in, None for this one.
    interpreter: Interpreter | None = None

    @classmethod
    def of(cls, prepared: Prepared, interpreter: Interpreter | None = None) -> "Job":
        """Return a job with the declaration of its cell."""
        declaration = Declaration.of(prepared.cell, prepared.title, prepared.artifact)
        return cls(prepared, CellData(declaration), interpreter=interpreter)

    @property
    def cell_id(self) -> str:
        """The cell's name in the records."""
        return self.data.declaration.cell_id

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.prepared.cell

    def replica(self, name: str, *, slowdown: float = 0.0) -> "Job":
        """Return the same cell once more, under another name, slowed down if that is wanted."""
        cell = self.cell.model_copy(update={"replica": name, "slowdown": slowdown})
        return Job.of(replace(self.prepared, cell=cell), self.interpreter)

    def declare(self, folder: RunFolder) -> None:
        """Write that the cell begins; one that was refused ends at once."""
        folder.append(self.data.declaration)
        if refusal := self.prepared.refusal:
            self.end(folder, refusal.status, refusal.reason)

    def take(self, outcome: Outcome) -> None:
        """Keep what one session found."""
        self.effective = {**outcome.effective, **self.effective}
        if outcome.parity is not None:
            self.parities.append(outcome.parity)

    def end(self, folder: RunFolder, status: Status, reason: str = "") -> None:
        """Write how the cell ended; one that is ok may go on and be written again."""
        told = {"version", "build", "note", "peak_rss_bytes", "steady_rss_bytes"}
        known: dict[str, Any] = self.ready.model_dump(include=told) if self.ready else {}
        self.data.outcome = Outcome(
            cell_id=self.cell_id,
            status=status,
            # Runs are shown to others, whom it does not concern whose folders these are.
            reason=without_home(reason),
            effective=self.effective,
            parity=worst(self.parities),
            **known,
        )
        folder.append(self.data.outcome)
        self.failed = status != "ok"

    def __str__(self) -> str:
        cell = self.cell
        text = f"{cell.model}, {cell.engine_label}, {cell.form}, {cell.protocol}"
        if cell.cores > 1:
            text += f", jobs × threads {cell.jobs} × {cell.threads}"
        if cell.chunk_samples != PUBLISHED_CHUNK_SAMPLES:
            text += f", chunk {cell.chunk_samples}"
        which = "once more, as a check" if cell.replica == GHOST else cell.replica
        return f"{text} ({which})" if which else text
