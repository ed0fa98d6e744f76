"""What a run amounts to: the rows, ratios and noise of `summary.json`."""

from pydantic import Field

from bench.base.core_count import Cores
from bench.base.values import Value
from bench.results.cells import Condition, Effective, Parity, Status, engine_label
from bench.results.explanation import Explanation
from bench.results.host import Host, kind
from bench.results.lengths import LengthReport
from engines.protocol import FLOAT32, PUBLISHED_FLOPS_BASIS, Form, Precision

SCHEMA = 1
#: So few sessions make a ratio provisional.
PROVISIONAL_SESSIONS = 2


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
    #: Of the samples as they were decoded, and of those of recordings for trials alone; empty in
    #: runs of before it was taken.
    audio_sha256: str = ""
    scored_sha256: str = ""
    weights: str = ""
    #: Of the order of all turns; None in runs of before it was drawn.
    seed: int | None = None
    #: None in runs of before it was told.
    host: Host | None = None
    #: Of the repository that the run was started in; empty outside of one.
    commit: str = ""

    @property
    def cpu_kind(self) -> str:
        """The CPU's name with what tells it from others of the same name."""
        return kind(self.cpu, self.host)

    @property
    def core_count(self) -> int:
        """How many of the usable cores the CPU quota was enough for."""
        return Cores(self.usable_cores, self.host.cpu_limit if self.host else None).count


class CellSummary(Condition):
    """A row of the result: what a cell's records and outcome amount to."""

    title: str
    engine: str
    settings: dict[str, str]
    precision: Precision = FLOAT32
    form: Form
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
    #: How many utterances its times are of; None in runs of before it was counted.
    utterances: int | None = None
    rtf_copy: float | None = None
    rtf_pooling: float | None = None
    padded_share: float | None = None
    chunk_ms_p90: float | None = None
    chunk_ms_p99: float | None = None
    speedup: float | None = None
    efficiency: float | None = None
    gflops: float | None = None
    gemm_share: float | None = None
    peak_share: float | None = None
    steady_rss_mb: float | None = None
    flops_basis: str = PUBLISHED_FLOPS_BASIS
    about: str = ""
    recipe: str = ""
    #: Of the model file; empty in runs of before it was told.
    artifact_sha256: str = ""
    eer: float | None = None
    #: How much higher than the float32 row's of the same model, with its 95 % interval; shares.
    eer_loss: tuple[float, float, float] | None = None
    min_dcf_loss: tuple[float, float, float] | None = None
    denormal_share: float | None = None
    #: Of a queue: utterances a second, and what 95 of 100 of them stay under.
    utterances_per_s: float | None = None
    utterance_ms_p95: float | None = None

    @property
    def engine_label(self) -> str:
        """The engine with its settings, as on the command line."""
        return engine_label(self.engine, dict(sorted(self.settings.items())), self.precision)


class Ratio(Condition):
    """How many times as long an engine takes as the reference engine of its group.

    `engine` and `reference` are labels with settings. `decided` says that the interval is as
    narrow as was asked for. `df` are the degrees of freedom behind the interval; of one or two
    sessions it rests more on what is assumed than on them, and is provisional.
    """

    engine: str
    form: Form
    reference: str
    reference_form: Form
    ratio: float
    ci95: tuple[float, float] | None
    blocks: int
    sessions: int
    decided: bool
    df: float | None = None


class Ghost(Condition):
    """The reference engine against itself: what this machine can tell apart at the time.

    `half_width` is relative: 0.02 means that ratios under 2 % cannot be told from 1.
    """

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
    #: What `rtfbench explain` found of engines of this run.
    explanations: tuple[Explanation, ...] = ()
    #: What it found of input of many lengths.
    lengths: tuple[LengthReport, ...] = ()
