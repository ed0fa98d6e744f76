"""What a run amounts to: the rows, ratios and noise of `summary.json`."""

from typing import Annotated, Final, NamedTuple, get_args, get_origin

from pydantic import Field

from rtfbench.base.values import Interval, Value
from rtfbench.engines.protocol import (
    CPU,
    FLOAT32,
    PUBLISHED_FLOPS_BASIS,
    EngineSpec,
    Form,
    Precision,
)
from rtfbench.results.cells import INTERRUPTED, Condition, Effective, Parity, Status, on_device
from rtfbench.results.explanation import Explanation, LengthReport
from rtfbench.results.host import Environment

SCHEMA = 1
#: So few sessions make a ratio provisional.
PROVISIONAL_SESSIONS = 3
#: A difference of a ratio from 1 that its three decimals show.
SHOWN = 0.0005
#: Where memory lies is drawn anew with each process, and makes up to this difference.
LUCK = 1.02
#: Marks a field of a row that tells its speed, which a row whose output is wrong does not show.
SPEED: Final = "speed"
Speed = Annotated[float | None, SPEED]


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
    rtf: Speed
    rtf_ci95: Annotated[Interval | None, SPEED]
    rtf_padded: Speed
    rtf_frontend: Speed
    rtf_engine: Speed
    load_ms: Speed
    first_chunk_ms: Speed
    chunk_ms: Speed
    cpu_per_wall: Speed
    peak_rss_mb: float | None
    parity: Parity | None
    effective: Effective
    sessions: int = 0
    #: How many utterances its times are of; None where it has none.
    utterances: int | None = None
    rtf_copy: Speed = None
    rtf_pooling: Speed = None
    padded_share: float | None = None
    chunk_ms_p90: Speed = None
    chunk_ms_p99: Speed = None
    speedup: Speed = None
    efficiency: Speed = None
    gflops: Speed = None
    peak_share: Speed = None
    steady_rss_mb: float | None = None
    #: Joules for an hour of audio by the device's own counters, and those above its idle power.
    energy_j_per_h: Speed = None
    energy_ci95: Annotated[Interval | None, SPEED] = None
    energy_above_idle_j_per_h: Speed = None
    energy_above_idle_ci95: Annotated[Interval | None, SPEED] = None
    flops_basis: str = PUBLISHED_FLOPS_BASIS
    about: str = ""
    recipe: str = ""
    #: What the model was fed; empty for WeSpeaker's front end.
    front_end: str = ""
    #: Of the model file.
    artifact_sha256: str = ""
    eer: float | None = None
    #: How much higher than the float32 row's of the same model, with its 95 % interval; shares.
    eer_loss: tuple[float, float, float] | None = None
    min_dcf_loss: tuple[float, float, float] | None = None
    denormal_share: float | None = None
    #: Of a queue: utterances a second, and what 95 of 100 of them stay under.
    utterances_per_s: Speed = None
    utterance_ms_p95: Speed = None
    #: Figures that only its protocol has, by their names.
    own: Annotated[dict[str, float] | None, SPEED] = None
    #: Where those lie that have an interval, of 95 %; without an upper end, over the lower one.
    own_ci95: Annotated[dict[str, tuple[float, float | None]] | None, SPEED] = None
    device: str = CPU

    @property
    def engine_label(self) -> str:
        """The engine with its settings, and the device where that is not the CPU."""
        return on_device(EngineSpec(self.engine, self.settings, self.precision), self.device)

    @property
    def ended(self) -> str:
        """How its cell ended, in words."""
        return INTERRUPTED if self.reason == INTERRUPTED else self.status.replace("_", " ")

    def figure(self, name: str) -> float | None:
        """Return what its protocol tells under a name: a field, or one of its `own`."""
        found: float | None = getattr(self, name, (self.own or {}).get(name))
        return found


def _is_nested(annotation: object) -> bool:
    """Tell whether a field's type, or one that it may be, holds several values."""
    return any(
        get_origin(each) in (tuple, dict) or (isinstance(each, type) and issubclass(each, Value))
        for each in (annotation, *get_args(annotation))
    )


_FIELDS = CellSummary.model_fields
#: Names of a row's fields that tell its speed, and of those that are no single value.
SPEEDS = frozenset(name for name, field in _FIELDS.items() if SPEED in field.metadata)
NESTED = frozenset(name for name, field in _FIELDS.items() if _is_nested(field.annotation))


class EngineForm(NamedTuple):
    """An engine with its settings, in one model form."""

    engine: str
    form: Form


class Ratio(Condition):
    """How many times as long an engine takes as the reference engine of its group.

    `engine` and `reference` are labels with settings. `decided` says that the interval is as
    narrow as was asked for. `df` are the degrees of freedom behind the interval; of one to three
    sessions it rests more on what is assumed than on them, and is provisional. `together` is the
    interval that holds with those of all the run's ratios in 99 % of runs.
    """

    engine: str
    form: Form
    reference: str
    reference_form: Form
    ratio: float
    ci95: Interval | None
    blocks: int
    sessions: int
    decided: bool
    df: float | None = None
    together: Interval | None = None

    @property
    def left(self) -> EngineForm:
        """The side that takes so many times as long."""
        return EngineForm(self.engine, self.form)

    @property
    def right(self) -> EngineForm:
        """The side that it is compared with."""
        return EngineForm(self.reference, self.reference_form)

    @property
    def question(self) -> tuple[Condition, EngineForm, EngineForm]:
        """What it answers, as ratios of other runs may."""
        return self.condition, self.left, self.right

    @property
    def provisional(self) -> bool:
        """Whether further sessions may well change what the interval says."""
        return self.sessions <= PROVISIONAL_SESSIONS

    @property
    def within_luck(self) -> bool:
        """Whether it is so near a tie that a new process could turn it."""
        return self.sessions == 1 and 1 / LUCK < self.ratio < LUCK

    @property
    def differs(self) -> bool:
        """Whether the interval excludes a tie, and by more than a new process may bring."""
        return excludes_one(self.ci95) and not self.within_luck

    @property
    def surely_differs(self) -> bool:
        """Whether it differs among all ratios of its run, of which some do by luck."""
        return self.differs and excludes_one(self.together)

    def inverted(self) -> "Ratio":
        """Return the same comparison with the sides swapped."""
        swapped = {
            "engine": self.reference,
            "form": self.reference_form,
            "reference": self.engine,
            "reference_form": self.form,
            "ratio": 1 / self.ratio,
            "ci95": self.ci95 and (1 / self.ci95[1], 1 / self.ci95[0]),
            "together": self.together and (1 / self.together[1], 1 / self.together[0]),
        }
        return self.model_copy(update=swapped)

    def slower_first(self) -> "Ratio":
        """Return it so that `left` takes longer."""
        return self if self.ratio >= 1 else self.inverted()

    def over(self, other: "Ratio") -> "Ratio":
        """Return the ratio to another's engine, where both are to one reference.

        Its interval runs from end to end of theirs: for errors that are normal on the log scale it
        covers at least as often as the two, however they depend on one another, since a difference
        spreads no wider than the sum of both.
        """
        by_third = {
            "reference": other.engine,
            "reference_form": other.form,
            "ratio": self.ratio / other.ratio,
            "ci95": _over(self.ci95, other.ci95),
            "together": _over(self.together, other.together),
            "blocks": min(self.blocks, other.blocks),
            "sessions": min(self.sessions, other.sessions),
            "decided": self.decided and other.decided,
            "df": None if self.df is None or other.df is None else min(self.df, other.df),
        }
        return self.model_copy(update=by_third)


def excludes_one(ci95: Interval | None) -> bool:
    """Say whether an interval excludes a tie by so much that its figures show it."""
    return ci95 is not None and (ci95[0] >= 1 + SHOWN or ci95[1] <= 1 - SHOWN)


def _over(left: Interval | None, right: Interval | None) -> Interval | None:
    return (left[0] / right[1], left[1] / right[0]) if left and right else None


class Ghost(Condition):
    """The reference engine against itself: what this machine can tell apart at the time.

    `half_width` is relative: 0.02 means that ratios under 2 % cannot be told from 1.
    """

    reference: str
    ratio: float
    ci95: Interval | None
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


class TrialsOfRun(Value):
    """What told the rows' error rates; `max_eer_loss` is in points, 0.1 for 0.1 % absolute."""

    trials: int
    speakers: int
    max_eer_loss: float


class Summary(Value):
    """The content of `summary.json`, the machine's door: fields may be added, none may go."""

    schema_: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    #: What a report begins with: who is fastest, how surely, where, how quiet, what is next.
    answer: tuple[str, ...] = ()
    environment: Environment
    cells: tuple[CellSummary, ...]
    ratios: tuple[Ratio, ...] = ()
    noise: Noise | None = None
    #: None where a run had no trials.
    trials: TrialsOfRun | None = None
    #: What `rtfbench explain` found of engines of this run.
    explanations: tuple[Explanation, ...] = ()
    #: What it found of input of many lengths.
    lengths: tuple[LengthReport, ...] = ()
    #: Of the `records.jsonl` that all of it was derived from.
    records_sha256: str = ""
