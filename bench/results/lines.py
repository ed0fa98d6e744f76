"""The lines of a run's `records.jsonl`: frozen values that travel as JSON, units in the names.

They stand in the order in which they came to be: a `Declaration` when a cell begins, the `Course`
of a comparison before it is measured, a `Record` for each measurement, the `Health` of the machine
during each block, an `Outcome` when the cell ends. Statistics are derived from them and never
stored instead of them.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, TypeAdapter

from rtfbench.base.values import Value
from rtfbench.engines.protocol import PUBLISHED_FLOPS_BASIS, ModelArtifact
from rtfbench.results.cells import Cell, Effective, Parity, Status

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


class Record(Value):
    """One utterance through one session of one cell.

    `processing_ns` is the time from the waveform to the averaged embedding, front end and
    chunking included, loading excluded; `chunk_ns` are the engine's calls, the first of which is
    the session's first ever under the published protocol. `copy_ns` is the part of them that a
    session spent on shapes and copies, None where its runtime does not tell.

    Under the throughput protocol it is one pass over a queue: `queued` are its utterances,
    `utterance_ns` what each took from when a process began with it (and with those of its batch) to
    its embedding. `processing_ns` is the wall time of the pass; the times of parts are those of all
    processes, divided by their number, so that what is left of it is waiting.

    `own` is what only the record's protocol measures, by name with the unit. `energy_uj` is what
    the device's counters rose by within `energy_ns`, which begin just before the record's time and
    end just after it; None where none can be read.
    """

    kind: Literal["record"] = "record"
    cell_id: str
    session: int
    block: int
    position: int
    utterance: str
    audio_ns: PositiveInt
    padded_audio_ns: PositiveInt
    load_ns: int
    first_chunk_ns: int
    frontend_ns: int
    engine_ns: int
    processing_ns: PositiveInt
    chunk_ns: tuple[int, ...]
    cpu_ns: int
    peak_rss_bytes: int = 0
    copy_ns: int | None = None
    energy_uj: int | None = None
    energy_ns: int | None = None
    queued: tuple[str, ...] = ()
    utterance_ns: tuple[int, ...] = ()
    own: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class Health(Value):
    """What else went on in the machine during one block; None where the host does not tell.

    Shares are of the block's wall time: `steal` and `other_cpu` in cores, `pressure` that of tasks
    waiting for a core (PSI, some), `throttled` that of a cgroup's limit. `involuntary` counts the
    workers' involuntary context switches a second. `peak_gflops` is what single-precision
    multiply-adds on registers reached on the cell's threads right after the block. `idle_uj` is
    what each device's counters rose by within `idle_ns` then, while nothing of the run ran.
    """

    kind: Literal["health"] = "health"
    cell_id: str
    session: int
    block: int
    wall_ns: int
    steal: float | None = None
    pressure: float | None = None
    involuntary: float | None = None
    other_cpu: float | None = None
    frequency_mhz: float | None = None
    throttled: float | None = None
    load_average_1min: float | None = None
    peak_gflops: float | None = None
    idle_ns: int | None = None
    idle_uj: dict[str, int] = Field(default_factory=dict)


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
