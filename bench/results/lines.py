"""The lines of a run's `records.jsonl`: frozen values that travel as JSON, units in the names.

They stand in the order in which they came to be: a `Declaration` when a cell begins, the `Course`
of a comparison before it is measured, a `Record` for each measurement, the `Health` of the machine
during each block, an `Outcome` when the cell ends. Statistics are derived from them and never
stored instead of them.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from rtfbench.base.values import Value
from rtfbench.engines.protocol import PUBLISHED_FLOPS_BASIS, ModelArtifact
from rtfbench.results.cells import Cell, Effective, Parity, Status
from rtfbench.results.records import Health, Record

#: A block is a palindrome: every cell has two slots in it.
SLOTS = 2
#: How narrow, relative to either side, a ratio's interval should be.
HALF_WIDTH = 0.015


class Declaration(Value):
    """A cell and the facts of its model file; counts are exact, None where unknown.

    Those that bear a name of `ModelArtifact` are its own; a row of the result has all of them.
    `denormal_share` is the share of denormal values among all that the model computes on speech.
    """

    kind: Literal["declaration"] = "declaration"
    cell_id: str
    cell: Cell
    title: str
    params: int | None = None
    flops: int | None = None
    macs: int | None = None
    flops_basis: str = PUBLISHED_FLOPS_BASIS
    about: str = ""
    recipe: str = ""
    #: What the model was fed; empty for WeSpeaker's front end.
    front_end: str = ""
    artifact_sha256: str = ""
    artifact_bytes: int | None = None
    denormal_share: float | None = None

    @classmethod
    def of(cls, cell: Cell, title: str, artifact: ModelArtifact | None) -> "Declaration":
        """Declare a cell on its model file, None where it has none."""
        if artifact is None:
            return cls(cell_id=cell.id(""), cell=cell, title=title, flops_basis="")
        names = [each.name for each in fields(artifact) if each.name in cls.model_fields]
        declared = cls(
            cell_id="",
            cell=cell,
            title=title,
            artifact_sha256=artifact.sha256,
            artifact_bytes=artifact.path.stat().st_size,
            **{name: getattr(artifact, name) for name in names},
        )
        return declared.model_copy(update={"cell_id": declared.derived_id})

    @property
    def derived_id(self) -> str:
        """The cell's name: it changes with the cell, its model file, and what that is fed."""
        return self.cell.id(self.artifact_sha256 + self.front_end)

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the model, by name."""
        return self.model_dump(exclude={"kind", "cell_id", "cell"})


class Course(Value):
    """How a comparison is measured, declared before it is; `cell_id` is its reference.

    Widths are judged after each number of sessions in `looks`, by intervals that may miss with
    probability `alpha`; measuring ends when all are at most `precision`, relative, to either side.
    """

    kind: Literal["course"] = "course"
    cell_id: str
    looks: tuple[int, ...]
    alpha: float
    precision: float
    blocks: int
    portions: int


class Outcome(Value):
    """How a cell ended; a cell that is not ok carries its reason."""

    kind: Literal["outcome"] = "outcome"
    cell_id: str
    status: Status
    reason: str = ""
    version: str = ""
    build: str = ""
    note: str = ""
    effective: Effective = Field(default_factory=dict)
    parity: Parity | None = None
    peak_rss_bytes: int | None = None
    steady_rss_bytes: int | None = None


Line = Declaration | Course | Record | Health | Outcome
LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])
