"""What to measure: a TOML file or flags become a plan, a plan becomes cells (pure)."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, get_args

from pydantic import ConfigDict, Field, field_validator

from bench.base.limits import LONGEST_S, MOST_MB
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.base.values import Value
from bench.plan.engine_spec import EngineSpec, parse_engine
from bench.results.cells import Cell, Protocol
from bench.results.lines import PRECISION
from bench.zoo.catalog import Weights
from engines.protocol import FLOAT32, Form, Precision
from frontends.chunking import ChunkPolicy


class Axes(Value):
    """What is combined with what. The defaults are WeSpeaker's published MNN table."""

    model_config = ConfigDict(allow_inf_nan=False)

    models: Annotated[tuple[str, ...], Field(min_length=1)] = ("resnet34",)
    engines: Annotated[tuple[str, ...], Field(min_length=1)] = ("onnxruntime", "mnn", "mnn-mini")
    #: What the engines compute in that name no precision themselves.
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] = (FLOAT32,)
    threads: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    chunk_samples: Annotated[tuple[int, ...], Field(min_length=1)] = (PUBLISHED_CHUNK_SAMPLES,)
    forms: tuple[Form, ...] = ()
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("published", "steady")
    #: Of the throughput protocol: processes at work at once; none is as many as the cores allow.
    jobs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    #: How many chunks of equal length run together at most.
    batches: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    #: How much of the budget each comparison gets, against those of the other sweeps.
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    #: Sets of fresh processes before intervals are looked at; fewer where the budget is short.
    sessions: Annotated[int, Field(ge=1, le=10_000)] = 6
    #: Whether each comparison's reference takes turns with itself too, for the noise floor.
    ghost: bool = True

    @field_validator("engines")
    @classmethod
    def _engines_parse(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        for spec in specs:
            parse_engine(spec)
        return specs

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
    max_eer_loss: Annotated[float, Field(ge=0)] = 0.1
    budget_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = 180.0
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = 120.0
    #: What a cell's process may take, in 10^6 bytes.
    max_rss_mb: Annotated[float, Field(gt=0, le=MOST_MB)] | None = None
    #: Measuring ends when every ratio's interval is this narrow, relative, to either side.
    half_width: Annotated[float, Field(gt=0, lt=1)] = PRECISION
    #: Of the order of turns; None draws one, so that what an order favours averages out.
    seed: int | None = None
    input: str | None = None
    output: str | None = None
    reference: Path | None = None

    @property
    def sweeps(self) -> tuple[Axes, ...]:
        """Every combination of axes that is measured."""
        return self.sweep or (self,)

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


#: Engine name -> the precisions that it computes in.
PrecisionsOf = Callable[[str], Collection[Precision]]


def expand(
    plan: Plan,
    default_form: Callable[[str], Form],
    precisions_of: PrecisionsOf = lambda _: get_args(Precision),
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
    cells: list[Cell] = []
    for axes in plan.sweeps:
        cells += _cells(axes, default_form, precisions_of, cores)
    groups = list(dict.fromkeys(cell.condition for cell in cells))
    return tuple(sorted(_unique(cells), key=lambda cell: groups.index(cell.condition)))


def axes_of(plan: Plan, cell: Cell) -> Axes:
    """Return the first sweep that names a cell's comparison, the plan itself where none does."""
    for axes in plan.sweeps:
        if (
            cell.model in axes.models
            and cell.threads in axes.threads
            and cell.chunk_samples in axes.chunk_samples
            and cell.protocol in axes.protocols
            and cell.batch in axes.batches
        ):
            return axes
    return plan


def precisions_for(
    axes: Axes, engine: EngineSpec, precisions_of: PrecisionsOf
) -> tuple[Precision, ...]:
    """Return what an engine computes in: what it names itself, else what it has of the plan's.

    An engine that has none of the plan's precisions gets all of them, and each becomes a row that
    says so.
    """
    if engine.precision:
        return (engine.precision,)
    known = precisions_of(engine.name)
    return tuple(each for each in axes.precisions if each in known) or axes.precisions


def _cells(
    axes: Axes, default_form: Callable[[str], Form], precisions_of: PrecisionsOf, cores: int
) -> Iterator[Cell]:
    for model, protocol, threads, size, batch in product(
        axes.models, axes.protocols, axes.threads, axes.chunk_samples, axes.batches
    ):
        jobs = (1,) if protocol != "throughput" else axes.jobs or (max(cores // threads, 1),)
        for engine in map(parse_engine, axes.engines):
            precisions = precisions_for(axes, engine, precisions_of)
            forms = axes.forms or (default_form(engine.name),)
            for form, precision, count in product(forms, precisions, jobs):
                yield Cell(
                    model=model,
                    engine=engine.name,
                    settings=engine.settings,
                    precision=precision,
                    form=form,
                    threads=threads,
                    chunk_samples=size,
                    protocol=protocol,
                    jobs=count,
                    batch=batch,
                )


def _unique(cells: Iterable[Cell]) -> list[Cell]:
    return list({cell.model_dump_json(): cell for cell in cells}.values())
