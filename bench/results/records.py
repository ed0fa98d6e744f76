"""What a run stores: frozen values that travel as JSON, units in the names.

A run's `records.jsonl` holds its lines in the order in which they came to be: a `Declaration` when
a cell begins, the `Course` of a comparison before it is measured, a `Record` for each measurement,
the `Health` of the machine during each block, an `Outcome` when the cell ends. Statistics are
derived from them and never stored instead of them.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.base.values import Value
from engines.protocol import Form

Status = Literal["ok", "unsupported", "unavailable", "wrong_output", "failed", "timed_out"]
Protocol = Literal["published", "steady"]
Effective = dict[str, str | int | float]

SCHEMA = 1
#: A block is a palindrome: every cell has two slots in it.
SLOTS = 2
#: How narrow, relative to either side, a ratio's interval should be.
PRECISION = 0.015
WHOLE_UTTERANCE = -1


class Cell(Value):
    """One point of the sweep: what is measured, and how.

    A replica is the same cell once more, under another name: its ratio to the original is 1, and
    what comes out instead is the noise of the machine. `slowdown` adds this share of a call's own
    time to it, by computing on: a difference that is known.
    """

    model: str
    engine: str
    settings: dict[str, str] = Field(default_factory=dict)
    form: Form
    threads: Annotated[int, Field(ge=1)]
    chunk_samples: int
    protocol: Protocol
    replica: str = ""
    slowdown: float = 0.0

    @property
    def engine_label(self) -> str:
        """The engine with its settings, as it is written on the command line."""
        settings = ",".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        return f"{self.engine}[{settings}]" if settings else self.engine

    @property
    def group(self) -> tuple[str, int, int, Protocol]:
        """Cells of one group are compared with one another and take turns."""
        return (self.model, self.threads, self.chunk_samples, self.protocol)

    def id(self, artifact_sha256: str) -> str:
        """Return a stable name for this cell on this very model file."""
        text = json.dumps([self.model_dump(), artifact_sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Parity(Value):
    """How far an embedding lies from the reference; the worst chunk of all that were compared.

    `max_rel_err` is the largest absolute difference divided by the reference's largest absolute
    value.
    """

    cosine: float
    max_rel_err: float
    ok: bool


class Declaration(Value):
    """A cell and the facts of its model file; counts are exact, None where unknown.

    `denormal_share` is the share of denormal values among all that the model computes on speech.
    """

    kind: Literal["declaration"] = "declaration"
    cell_id: str
    cell: Cell
    title: str
    params: int | None = None
    flops: int | None = None
    macs: int | None = None
    flops_basis: str = "by the published convention (200 frames)"
    about: str = ""
    artifact_sha256: str = ""
    artifact_bytes: int | None = None
    denormal_share: float | None = None


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
    """

    kind: Literal["record"] = "record"
    cell_id: str
    session: int
    block: int
    position: int
    utterance: str
    audio_ns: int
    padded_audio_ns: int
    load_ns: int
    first_chunk_ns: int
    frontend_ns: int
    engine_ns: int
    processing_ns: int
    chunk_ns: tuple[int, ...]
    cpu_ns: int
    peak_rss_bytes: int = 0
    copy_ns: int | None = None


class Health(Value):
    """What else went on in the machine during one block; None where the host does not tell.

    Shares are of the block's wall time: `steal` and `other_cpu` in cores, `pressure` that of tasks
    waiting for a core (PSI, some), `throttled` that of a cgroup's limit. `involuntary` counts the
    workers' involuntary context switches a second. `gemm_gflops` is what a single-precision matrix
    product reached on the cell's threads right after the block.
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
    gemm_gflops: float | None = None


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


class Environment(Value):
    """The host and the software of a run, taken when it began."""

    rtfbench: str
    started_utc: str
    cpu: str
    cores: int
    usable_cores: int
    memory_bytes: int
    os: str
    python: str
    packages: dict[str, str]
    load_average_1min: float
    audio: tuple[str, ...] = ()
    audio_s: float = 0.0
    weights: str = ""


class CellSummary(Value):
    """A row of the result: what a cell's records and outcome amount to."""

    model: str
    title: str
    engine: str
    settings: dict[str, str]
    form: Form
    threads: int
    chunk_samples: int
    protocol: Protocol
    status: Status
    reason: str
    version: str
    build: str
    note: str
    params: int | None
    flops: int | None
    macs: int | None
    artifact_bytes: int | None
    passes: int
    rtf: float | None
    rtf_ci95: tuple[float, float] | None
    rtf_padded: float | None
    rtf_frontend: float | None
    rtf_engine: float | None
    load_ms: float | None
    first_chunk_ms: float | None
    chunk_ms: float | None
    cpu_per_wall: float | None
    peak_rss_mb: float | None
    parity: Parity | None
    effective: Effective
    sessions: int = 0
    rtf_copy: float | None = None
    rtf_pooling: float | None = None
    padded_share: float | None = None
    chunk_ms_p90: float | None = None
    chunk_ms_p99: float | None = None
    speedup: float | None = None
    efficiency: float | None = None
    gflops: float | None = None
    gemm_share: float | None = None
    steady_rss_mb: float | None = None
    flops_basis: str = "by the published convention (200 frames)"
    about: str = ""
    eer: float | None = None
    denormal_share: float | None = None

    @property
    def engine_label(self) -> str:
        """The engine with its settings, as on the command line."""
        return Cell(
            model=self.model,
            engine=self.engine,
            settings=self.settings,
            form=self.form,
            threads=self.threads,
            chunk_samples=self.chunk_samples,
            protocol=self.protocol,
        ).engine_label


class Ratio(Value):
    """How many times as long an engine takes as the reference engine of its group.

    `engine` and `reference` are labels with settings. `decided` says that the interval is as
    narrow as was asked for.
    """

    model: str
    threads: int
    chunk_samples: int
    protocol: Protocol
    engine: str
    form: Form
    reference: str
    reference_form: Form
    ratio: float
    ci95: tuple[float, float] | None
    blocks: int
    sessions: int
    decided: bool


class Ghost(Value):
    """The reference engine against itself: what this machine can tell apart at the time.

    `half_width` is relative: 0.02 means that ratios under 2 % cannot be told from 1.
    """

    model: str
    threads: int
    chunk_samples: int
    protocol: Protocol
    reference: str
    ratio: float
    ci95: tuple[float, float] | None
    half_width: float | None
    contains_one: bool


class Noise(Value):
    """How quiet the machine was; `sentence` says it to a person.

    The ghosts' intervals hold together: all of them contain 1 in 95 % of undisturbed runs, and a
    run in which one does not is contaminated. `channels` are medians and 90th percentiles of what
    `Health` records. `timed_share` is the part of the measuring phase that lay inside timed slots.
    """

    sentence: str
    contaminated: bool
    disturbed_share: float | None
    ghosts: tuple[Ghost, ...] = ()
    channels: dict[str, float] = Field(default_factory=dict)
    timed_share: float | None = None


class Summary(Value):
    """The content of `summary.json`, the machine's door: fields may be added, none may go."""

    schema_: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    environment: Environment
    cells: tuple[CellSummary, ...]
    ratios: tuple[Ratio, ...] = ()
    noise: Noise | None = None
