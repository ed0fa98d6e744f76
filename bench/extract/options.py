"""From the options of a command to the setup, and to workers that are ready for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base.cache import cache_folder
from bench.base.core_count import core_count, cores_here
from bench.base.errors import InputError
from bench.base.limits import RECORDING_TIMEOUT_S
from bench.base.memory import MemoryLimit
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.base.scratch import process_folder
from bench.extract.messages import ExtractionSetup
from bench.extract.pool import Pool
from bench.machine.cores import usable_cores
from bench.models import homes
from bench.models.model_files import is_path
from bench.models.model_folders import CONFIG
from bench.models.names import default_form
from bench.models.resolve import Asked, Resolved, resolve
from bench.models.workload import prepare
from bench.plan.engine_spec import parse_engine
from bench.results.cells import Cell
from engines.protocol import Form
from frontends import vad
from frontends.chunking import ChunkPolicy

#: What every result of seeded weights is said to be.
SEEDED = "seeded weights, not trained: the embeddings tell no speakers apart"
NO_WEIGHTS = (
    "--model {model}: name a model file, .onnx or .mnn, or the folder of an experiment "
    "({config} and its checkpoint); the catalog's models have seeded weights, which know no "
    "speakers, and need --seeded-weights"
)


@dataclass(frozen=True)
class ModelOptions:
    """The options that say what computes an embedding; every command that embeds has them.

    `model` is a file, or with `seeded_weights` a name of the catalog. `chunk_samples` is None where
    a static model file may choose; `libraries` are the folders that options name, by the engines
    that they are for.
    """

    model: str
    engine: str | None
    form: Form | None
    chunk_samples: int | None
    threads: int
    channel: int | None = None
    resample: bool = False
    libraries: Mapping[str, Path | None] = field(default_factory=dict)
    seeded_weights: bool = False
    #: What decides which frames are speech, empty for all: `energy[threshold=6]`.
    vad: str = ""

    @property
    def knows_speakers(self) -> bool:
        """Whether the weights are the user's own: seeded ones tell no speakers apart."""
        return is_path(self.model)


def jobs_for(threads: int) -> int:
    """Return how many workers of so many threads the cores that may be used are enough for."""
    return max(1, core_count() // threads)


def setup_for(
    options: ModelOptions,
    *,
    phase: Callable[[str], None],
    note: Callable[[str], None],
    max_rss_mb: float | None = None,
) -> ExtractionSetup:
    """Return what computes the embeddings, the model file made if need be.

    Args:
        options: what was asked for.
        phase: is told what takes a while.
        note: is told where the model decides otherwise.
        max_rss_mb: what the process that makes the model file may take.

    Raises:
        InputError: it cannot be had; the message names the option.
    """
    if not (options.knows_speakers or options.seeded_weights):
        raise InputError(NO_WEIGHTS.format(model=options.model or "none", config=CONFIG))
    try:
        if options.vad:
            vad.get(options.vad)
    except vad.VadError as error:
        raise InputError(f"--vad {error}") from error
    here = cores_here()
    if options.threads > here.count:
        told = here.told(here.count)
        raise InputError(f"--threads {options.threads}: this process may use {told}")
    (prepared,) = prepare(
        _resolve(options, phase),
        (),
        cores=here.count,
        logs=cache_folder() / "logs",
        phase=phase,
        memory=MemoryLimit.of_megabytes(max_rss_mb),
    )
    cell, artifact = prepared.cell, prepared.artifact
    if prepared.refusal is not None or artifact is None:
        reason = prepared.refusal.reason if prepared.refusal else "there is no file of it"
        what = cell.engine if prepared.refusal and prepared.refusal.status == "unavailable" else ""
        raise InputError(f"{what or options.model}: {reason}")
    if cell.chunk_samples not in (options.chunk_samples, PUBLISHED_CHUNK_SAMPLES):
        frames = f"{artifact.num_frames} frames ({cell.chunk_samples} samples)"
        note(f"{artifact.path}: a static model, which takes chunks of {frames}")
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
    """Return the one cell that the options describe.

    Raises:
        InputError: a name or value that cannot be used.
    """
    text = options.engine or default_engine(options.model)
    size = PUBLISHED_CHUNK_SAMPLES if options.chunk_samples is None else options.chunk_samples
    try:
        ChunkPolicy(size)
        spec = parse_engine(text)
        folders = homes.named([text], options.libraries)
    except ValueError as error:
        raise InputError(str(error)) from error
    cell = Cell(
        model=options.model,
        engine=spec.name,
        settings=spec.settings,
        precision=spec.computes,
        form=options.form or default_form(spec.name),
        threads=options.threads,
        chunk_samples=size,
        protocol="steady",
    )
    asked = Asked(sizes=options.chunk_samples is not None, forms=options.form is not None)
    return resolve([cell], folders=folders, asked=asked, phase=phase)


def check_batch(setup: ExtractionSetup, batch: int) -> None:
    """Refuse what no worker could do.

    Raises:
        InputError: batches of a static model.
    """
    if batch > 1 and setup.artifact.form == "static":
        raise InputError(
            f"--batch {batch}: a static model takes one chunk at a time; leave --batch out, or "
            "choose --form dynamic"
        )


@contextmanager
def workers(
    setup: ExtractionSetup,
    options: ModelOptions,
    *,
    jobs: int = 1,
    batch: int = 1,
    timeout_s: float = RECORDING_TIMEOUT_S,
    max_rss_mb: float | None = None,
) -> Iterator[Pool]:
    """Run a pool for a setup until the block ends.

    Raises:
        InputError: batches of a static model.
    """
    check_batch(setup, batch)
    with (
        TemporaryDirectory(dir=process_folder()) as logs,
        Pool(
            setup,
            jobs=jobs,
            threads=options.threads,
            cores=usable_cores(),
            logs=Path(logs),
            batch=batch,
            timeout_s=timeout_s,
            memory=MemoryLimit.of_megabytes(max_rss_mb),
        ) as pool,
    ):
        yield pool


def default_engine(model: str) -> str:
    """Return the engine that embeds where none is named."""
    return "mnn" if Path(model).suffix == ".mnn" or not is_path(model) else "onnxruntime"
