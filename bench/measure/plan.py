"""What to measure: a TOML file or flags become a plan, and a plan becomes cells."""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain, product
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    field_validator,
    model_validator,
)

from rtfbench.base import toml_files
from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.base.limits import LONGEST_S, MAX_EER_LOSS, MOST_MB, PUBLISHED_CHUNK_SAMPLES
from rtfbench.engines.protocol import (
    CPU,
    FLOAT32,
    EngineSpec,
    Form,
    Precision,
    parse_engine,
    parse_engines,
)
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ, ChunkPolicy
from rtfbench.measure.machine import devices
from rtfbench.models import names
from rtfbench.models.resolve import Asked, Resolved, resolve
from rtfbench.models.user_models import Reading
from rtfbench.models.zoo.catalog import Weights
from rtfbench.results import protocols
from rtfbench.results.cells import Cell, ProtocolName, side_by_side
from rtfbench.results.lines import HALF_WIDTH
from rtfbench.results.load import Load, Traffic
from rtfbench.results.protocols import BUILT_IN, PUBLISHED, STEADY


def _as_text(given: object) -> object:
    """Write what a program parsed before."""
    if isinstance(given, EngineSpec):
        return str(given)
    return tuple(map(_as_text, given)) if isinstance(given, tuple) else given


#: An engine, and several, written as on the command line: here they are read, and nowhere behind.
Engine = Annotated[
    EngineSpec,
    GetPydanticSchema(
        lambda _, schema: schema(
            Annotated[str, BeforeValidator(_as_text), AfterValidator(parse_engine)]
        )
    ),
    PlainSerializer(str),
]
Engines = Annotated[
    tuple[EngineSpec, ...],
    GetPydanticSchema(
        lambda _, schema: schema(
            Annotated[
                tuple[str, ...],
                Field(min_length=1),
                BeforeValidator(_as_text),
                AfterValidator(lambda texts: parse_engines(*texts)),
            ]
        )
    ),
    PlainSerializer(lambda specs: tuple(map(str, specs))),
]


class Axes(Traffic):
    """What is combined with what. The defaults are WeSpeaker's published MNN table."""

    model_config = ConfigDict(allow_inf_nan=False)

    models: Annotated[tuple[str, ...], Field(min_length=1)] = ("resnet34",)
    engines: Engines = Field(default=("onnxruntime", "mnn", "mnn-mini"), validate_default=True)
    #: What the engines compute in that name no precision themselves.
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] = (FLOAT32,)
    #: Where engines compute; one that does not compute there becomes a row that says so.
    devices: Annotated[tuple[str, ...], Field(min_length=1)] = (CPU,)
    threads: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    chunk_samples: Annotated[tuple[int, ...], Field(min_length=1)] = (PUBLISHED_CHUNK_SAMPLES,)
    forms: tuple[Form, ...] = ()
    protocols: Annotated[tuple[ProtocolName, ...], Field(min_length=1)] = (
        PUBLISHED.name,
        STEADY.name,
    )
    #: Processes at work at once on a queue, where the protocol has one; none is as many as the
    #: cores allow.
    jobs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    #: How many chunks of equal length run together at most.
    batches: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    #: How much of the budget each comparison gets, against those of the other sweeps.
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    #: Sets of fresh processes before intervals are looked at; fewer where the budget is short.
    sessions: Annotated[int, Field(ge=1, le=10_000)] = 6
    #: Whether each comparison's reference takes turns with itself too, for the noise floor.
    ghost: bool = True

    @field_validator("devices")
    @classmethod
    def _devices_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            devices.named(name)
        return names

    @model_validator(mode="after")
    def _requests_arrive(self) -> Self:
        for name in self.protocols:
            try:
                self.loads_of(name)
            except ValueError as error:
                raise ValueError(f"protocol {name}: {error}") from None
        return self

    def loads_of(self, protocol: str) -> tuple[Load | None, ...]:
        """Return how requests arrive under a protocol; one that offers none has a single None.

        Raises:
            ValueError: it is not said.
        """
        loads = protocols.named(protocol).loads
        return (None,) if loads is None else loads(self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Chunk sizes: where recordings are cut into windows and no size is named, the window's."""
        if self.windows is None or "chunk_samples" in self.model_fields_set:
            return self.chunk_samples
        return (round(self.windows[0] * SAMPLE_RATE_HZ),)

    @field_validator("chunk_samples")
    @classmethod
    def _chunk_samples_in_range(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        for size in sizes:
            ChunkPolicy(size)  # knows how short is too short
        return sizes


class Plan(Axes):
    """One sweep, or several that share input and budget.

    A `[[sweep]]` table of the file names the axes in which it differs from the rest of the file.
    """

    sweep: tuple[Axes, ...] = ()
    #: Pinned requirements with which a configuration was found; a gate holds against them.
    packages: tuple[str, ...] = ()
    audio: tuple[Path, ...] = ()
    #: Which channel of a recording with several, from 0; whether other sample rates are converted.
    channel: Annotated[int, Field(ge=0)] | None = None
    resample: bool = False
    #: Of models of the catalog: trained on synthetic voices where a model has such, or seeded.
    weights: Weights = "trained"
    #: Pairs of recordings that each cell's embeddings are to tell apart.
    trials: Path | None = None
    #: Recordings of the trials that are embedded once a cell, and not timed.
    trial_audio: tuple[Path, ...] = ()
    #: A cell that surely loses more, in points of EER against float32, is wrong.
    max_eer_loss: Annotated[float, Field(ge=0)] = MAX_EER_LOSS
    budget_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = 180.0
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = 120.0
    #: What a cell's process may take, in 10^6 bytes.
    max_rss_mb: Annotated[float, Field(gt=0, le=MOST_MB)] | None = None
    #: Measuring ends when every ratio's interval is this narrow, relative, to either side.
    half_width: Annotated[float, Field(gt=0, lt=1)] = HALF_WIDTH
    #: Of the order of turns; None draws one, so that what an order favours averages out.
    seed: int | None = None
    #: What model files are fed, and what their input and output are called.
    front_end: str | None = None
    model_input: str | None = None
    model_output: str | None = None
    reference: Path | None = None

    @property
    def reading(self) -> Reading:
        """What is said of model files."""
        return Reading(self.front_end, self.model_input, self.model_output)

    @property
    def sweeps(self) -> tuple[Axes, ...]:
        """Every combination of axes that is measured."""
        return self.sweep or (self,)

    @model_validator(mode="after")
    def _are_cut_alike(self) -> Self:
        if len({axes.windows for axes in self.sweeps}) > 1:
            raise ValueError(
                "sweeps cut recordings into different windows, or some do not; a run has one cut: "
                "make it two plans"
            )
        return self

    @property
    def cut(self) -> tuple[float, float] | None:
        """Seconds of the windows that recordings are cut into, and from one to the next."""
        return next((axes.windows for axes in self.sweeps if axes.windows), None)

    @property
    def engine_names(self) -> list[str]:
        """The engines of all sweeps, by name."""
        return [spec.name for axes in self.sweeps for spec in axes.engines]

    def thorough(self) -> "Plan":
        """Return the same plan with twice the sessions at half the width, and time to pay."""
        return self.model_copy(
            update={
                "sweep": tuple(
                    axes.model_copy(update={"sessions": 2 * axes.sessions}) for axes in self.sweep
                ),
                "sessions": 2 * self.sessions,
                "half_width": self.half_width / 2,
                "budget_s": 3 * self.budget_s,
            }
        )


#: Engine's name and device -> the precisions that it computes in there.
PrecisionsOf = Callable[[str, str], Collection[Precision]]


def expand(
    plan: Plan,
    default_form: Callable[[str], Form],
    precisions_of: PrecisionsOf = lambda *_: get_args(Precision),
    *,
    cores: int = 1,
) -> tuple[Cell, ...]:
    """Return every cell of a plan once, those of a comparison group side by side.

    Args:
        plan: what to measure.
        default_form: engine name -> the model form it runs when the plan names none.
        precisions_of: of those that a plan asks of all engines, each gets what it has.
        cores: those that may be used; they decide how many jobs there are where a plan does not.
    """
    of_axes = (_cells(axes, default_form, precisions_of, cores) for axes in plan.sweeps)
    return side_by_side(chain.from_iterable(of_axes))


def resolve_plan(
    plan: Plan, libraries: Mapping[str, Path | None] | None = None, *, say: Callable[[str], None]
) -> Resolved:
    """Return a plan's cells, whose engines, libraries of the user's own and model files are there.

    What takes a while, and how model files are run, is said.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    resolved = resolve(
        expand(plan, names.default_form, names.precisions_of, cores=core_count()),
        folders=names.homes_of(plan.engine_names, libraries),
        asked=Asked(
            reading=plan.reading,
            reference=plan.reference,
            sizes=any("chunk_samples" in axes.model_fields_set for axes in plan.sweeps),
            forms=any(axes.forms for axes in plan.sweeps),
            weights=plan.weights,
        ),
        phase=say,
    )
    for line in resolved.notes:
        say(line)
    return resolved


def axes_of(plan: Plan, cell: Cell) -> Axes:
    """Return the first sweep that names a cell's comparison, the plan itself where none does."""
    for axes in plan.sweeps:
        if (
            cell.model in axes.models
            and cell.threads in axes.threads
            and cell.chunk_samples in axes.sizes
            and cell.protocol in axes.protocols
            and cell.batch in axes.batches
            and cell.load in axes.loads_of(cell.protocol)
        ):
            return axes
    return plan


def precisions_for(
    axes: Axes, engine: EngineSpec, device: str, precisions_of: PrecisionsOf
) -> tuple[Precision, ...]:
    """Return what an engine computes in: what it names itself, else what it has of the plan's.

    An engine that has none of the plan's precisions gets all of them, and each becomes a row that
    says so.
    """
    if engine.precision:
        return (engine.precision,)
    known = precisions_of(engine.name, device)
    return tuple(each for each in axes.precisions if each in known) or axes.precisions


def _cells(
    axes: Axes, default_form: Callable[[str], Form], precisions_of: PrecisionsOf, cores: int
) -> Iterator[Cell]:
    for model, protocol, threads, size, batch in product(
        axes.models, axes.protocols, axes.threads, axes.sizes, axes.batches
    ):
        known = protocols.named(protocol)
        jobs = (axes.jobs or (max(cores // threads, 1),)) if known.queued else (1,)
        loads = axes.loads_of(protocol)
        for engine in axes.engines:
            places = [
                (device, precision)
                for device in axes.devices
                for precision in precisions_for(axes, engine, device, precisions_of)
            ]
            forms = axes.forms or (default_form(engine.name),)
            for form, (device, precision), count, load in product(forms, places, jobs, loads):
                yield Cell(
                    model=model,
                    engine=engine.name,
                    settings=engine.settings,
                    precision=precision,
                    device=device,
                    form=form,
                    threads=threads,
                    chunk_samples=size,
                    protocol=protocol,
                    jobs=count,
                    batch=batch,
                    load=load,
                )


#: Sweeps that come with the package, each under its name.
SWEEPS = Path(__file__).parent / "sweeps"


def load_plan(path: Path | None, flags: dict[str, Any]) -> Plan:
    """Return the plan of a TOML file, overridden by the flags that were given.

    Args:
        path: the TOML file, or the name of one in the package; its keys are the fields of
            `Plan`. None takes the defaults.
        flags: field name -> value; None and empty values were not given.

    Raises:
        InputError: unreadable file, unknown key, or a value out of range.
    """
    content: dict[str, Any] = {}
    if path is not None:
        packaged = SWEEPS / f"{path}.toml"
        if path.name == str(path) and not path.is_file() and packaged.is_file():
            path = packaged
        content = toml_files.read_toml(path, "plan")
    given = {key: value for key, value in flags.items() if value not in (None, (), [])}
    content |= given
    if isinstance(content.get("sweep"), list):
        content["sweep"] = [_complete(table, content, given) for table in content["sweep"]]
    plan = toml_files.validate(Plan, content, path or "command line")
    _refuse_without_effect(plan, given)
    return plan


def _refuse_without_effect(plan: Plan, given: Collection[str]) -> None:
    """Refuse what was asked for and what no protocol of the plan takes.

    Raises:
        InputError: nothing that is measured would depend on it.
    """
    measured = {protocols.named(name) for axes in plan.sweeps for name in axes.protocols}
    for key in given:
        takers = [name for name in BUILT_IN if _takes(protocols.named(name), key)]
        if takers and not any(_takes(each, key) for each in measured):
            raise InputError(
                f"command line: {key}: none of the run's protocols takes them; name --protocol "
                f"{' or '.join(takers)}"
            )


def _takes(protocol: protocols.Protocol, key: str) -> bool:
    return protocol.queued if key == "jobs" else key in protocol.takes


def _complete(table: Any, content: dict[str, Any], given: dict[str, Any]) -> Any:
    """Fill up a `[[sweep]]` table: flags come first, then the table, then the rest of the file."""
    if not isinstance(table, dict):
        return table  # validation says what is wrong with it

    def axes(values: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key in Axes.model_fields}

    return axes(content) | table | axes(given)
