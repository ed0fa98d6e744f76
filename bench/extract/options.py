"""From the options of a command to the setup, and to workers that are ready for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rtfbench.base.cache import cache_room
from rtfbench.base.child import Started
from rtfbench.base.core_count import core_count, cores_here, usable_cores
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.scratch import process_folder
from rtfbench.engines.protocol import EngineSpec, Form
from rtfbench.extract.messages import ExtractionSetup, WorkerOptions
from rtfbench.extract.pool import Pool
from rtfbench.extract.report import Verbosity
from rtfbench.frontends import vad
from rtfbench.frontends.chunking import ChunkPolicy
from rtfbench.inputs.formats import Inputs
from rtfbench.models import names
from rtfbench.models.model_files import is_path
from rtfbench.models.names import default_engine, default_form, precisions_of
from rtfbench.models.resolve import CONFIG, Asked, Resolved, resolve
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.workload import prepare
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.cells import Cell
from rtfbench.results.protocols import STEADY

#: What is said of results of the catalog's weights.
SEEDED = "seeded weights, not trained: the embeddings tell no speakers apart"
SYNTHETIC = "weights trained on synthetic voices: no real speakers are known"
NO_MODEL = (
    "no model is named; name a model file, .onnx or .mnn, the folder of an experiment "
    f"({CONFIG} and its checkpoint), or a model of the catalog, which knows no real speakers"
)


@dataclass(frozen=True)
class ModelOptions:
    """The options that say what computes an embedding; every command that embeds has them.

    `model` is a file or a name of the catalog, whose weights are `weights`. `chunk_samples` is None
    where a static model file may choose; `libraries` are the folders that options name, by the
    engines that they are for.
    """

    model: str
    engine: EngineSpec | None
    form: Form | None
    chunk_samples: int | None
    worker: WorkerOptions = field(default_factory=WorkerOptions)
    channel: int | None = None
    resample: bool = False
    libraries: Mapping[str, Path | None] = field(default_factory=dict)
    weights: Weights = DEFAULT_WEIGHTS
    #: What decides which frames are speech, empty for all: `energy[threshold=6]`.
    vad: str = ""
    #: What is said of the model file.
    reading: Reading = AS_IT_SAYS

    @property
    def knows_speakers(self) -> bool:
        """Whether the weights are trained: seeded ones tell no speakers apart."""
        return is_path(self.model) or catalog.weights_of(self.model, self.weights) == "trained"

    @property
    def remark(self) -> str:
        """What a user has to know of the weights, nothing where they are the user's own."""
        if is_path(self.model):
            return ""
        return SYNTHETIC if self.knows_speakers else SEEDED


@dataclass(frozen=True)
class ExtractOptions:
    """What is extracted, where it goes, and how it is gone about.

    Without `jobs`, there are as many as the cores are enough for. `shard` is the part of the list
    that is taken, `shards` of how many a cluster is given.
    """

    model: ModelOptions
    inputs: Inputs
    result: Path | None = None
    part_size: str | None = None
    shard: str | None = None
    shards: int | None = None
    jobs: int | None = None
    strict: bool = False
    resume: bool = False
    overwrite: bool = False
    verbosity: Verbosity = field(default_factory=Verbosity)


def jobs_for(threads: int) -> int:
    """Return how many workers of so many threads the cores that may be used are enough for."""
    return max(1, core_count() // threads)


def setup_for(
    options: ModelOptions,
    *,
    phase: Callable[[str], None],
    note: Callable[[str], None],
    assumed: Callable[[str], None] | None = None,
) -> ExtractionSetup:
    """Return what computes the embeddings, the model file made if need be.

    `phase` is told what takes a while, `note` where the model decides otherwise, and in its place
    `assumed`, if there is such, what nobody said of the model file.

    Raises:
        InputError: it cannot be had; the message names the option.
    """
    if not options.model:
        raise InputError(NO_MODEL)
    with as_input(vad.VadError, before="--vad "):
        if options.vad:
            vad.get(options.vad)
    here = cores_here()
    if options.worker.threads > here.count:
        raise InputError(f"--threads {options.worker.threads}: {here.told()}")
    resolved = _resolve(options, phase)
    for line in resolved.notes:
        (assumed if assumed and line in resolved.assumed else note)(line)
    (prepared,) = prepare(
        resolved,
        (),
        cores=here.count,
        logs=cache_room("logs"),
        phase=phase,
        memory=options.worker.memory,
    )
    cell, artifact = prepared.cell, prepared.artifact
    if prepared.refusal is not None or artifact is None:
        reason = prepared.refusal.reason if prepared.refusal else "there is no file of it"
        what = cell.engine if prepared.refusal and prepared.refusal.status == "unavailable" else ""
        raise InputError(f"{what or options.model}: {reason}")
    fixed = artifact.num_frames is not None
    if fixed and cell.chunk_samples not in (options.chunk_samples, PUBLISHED_CHUNK_SAMPLES):
        frames = f"{artifact.num_frames} frames ({cell.chunk_samples} samples)"
        note(f"{options.model}: a static model, which takes chunks of {frames}")
    return ExtractionSetup(
        artifact=artifact,
        engine=cell.engine,
        settings=cell.settings,
        precision=cell.precision,
        chunk_samples=cell.chunk_samples,
        channel=options.channel,
        resample=options.resample,
        seeded_weights=not options.knows_speakers,
        vad=options.vad,
    )


def _resolve(options: ModelOptions, phase: Callable[[str], None]) -> Resolved:
    """Return the one cell that the options describe; what cannot be used is an InputError."""
    spec = options.engine or EngineSpec(default_engine(options.model), {})
    size = PUBLISHED_CHUNK_SAMPLES if options.chunk_samples is None else options.chunk_samples
    with as_input(ValueError):
        ChunkPolicy(size)
    folders = names.homes_of([spec.name], options.libraries)
    cell = Cell(
        model=options.model,
        engine=spec.name,
        settings=spec.settings,
        precision=spec.computes,
        form=options.form or default_form(spec.name),
        threads=options.worker.threads,
        chunk_samples=size,
        protocol=STEADY.name,
    )
    asked = Asked(
        reading=options.reading,
        sizes=options.chunk_samples is not None,
        forms=options.form is not None,
        weights=options.weights,
    )
    return resolve([cell], folders=folders, asked=asked, phase=phase)


def check_batch(setup: ExtractionSetup, batch: int) -> None:
    """Refuse batches of a static model by an InputError."""
    if batch > 1 and setup.artifact.form == "static":
        raise InputError(
            f"--batch {batch}: a static model takes one chunk at a time; leave --batch out, or "
            "choose --form dynamic"
        )


@contextmanager
def workers(
    setup: ExtractionSetup, options: WorkerOptions, *, jobs: int = 1, ahead: Started | None = None
) -> Iterator[Pool]:
    """Run a pool for a setup until the block ends; `ahead` is its first process if it is there.

    Raises:
        InputError: batches of a static model.
    """
    check_batch(setup, options.batch)
    with (
        TemporaryDirectory(dir=process_folder()) as logs,
        Pool(setup, options, jobs=jobs, cores=usable_cores(), logs=Path(logs), ahead=ahead) as pool,
    ):
        yield pool


class Config(NamedTuple):
    """What a file says of an extraction; None where it says nothing."""

    model: str | None = None
    engine: EngineSpec | None = None
    form: Form | None = None
    chunk_samples: int | None = None
    threads: int | None = None
    jobs: int | None = None
    batch: int | None = None
    reading: Reading = AS_IT_SAYS
    weights: Weights = DEFAULT_WEIGHTS


def read_config(path: Path | None) -> Config:
    """Return the one configuration that a plan describes; without a file, nothing.

    Raises:
        InputError: it cannot be read, or describes several.
    """
    if path is None:
        return Config()
    # Read only where it is asked for: plans take a sixth of what starting takes.
    from rtfbench.measure.plan import expand, load_plan

    plan = load_plan(path, {})
    cells = expand(plan, default_form, precisions_of)
    if len(cells) != 1:
        raise InputError(
            f"{path}: describes {len(cells)} configurations, and an extraction has one; name one "
            "that `rtfbench tune --save` wrote, or leave one value in each list"
        )
    (cell,) = cells
    return Config(
        cell.model,
        cell.engine_spec,
        cell.form,
        cell.chunk_samples,
        cell.threads,
        cell.jobs,
        cell.batch,
        plan.reading,
        plan.weights,
    )
