"""From the options of a command to the setup, and to workers that are ready for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base.cache import cache_folder
from bench.base.child import ChildError
from bench.base.errors import InputError
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.embed.pipeline import chunk_samples_for
from bench.extract.messages import ExtractionSetup
from bench.extract.pool import Pool
from bench.machine.environment import usable_cores
from bench.models import homes
from bench.models.user_models import natural_chunk_samples
from bench.models.workload import artifact_for
from bench.plan.engine_spec import parse_engine
from engines import registry
from engines.protocol import EngineError, Form, SessionOptions, chosen
from frontends.chunking import ChunkPolicy


@dataclass(frozen=True)
class ModelOptions:
    """The options that say what computes an embedding; every command that embeds has them.

    `chunk_samples` is None where a static model file may choose.
    """

    model: str
    engine: str | None
    form: Form | None
    chunk_samples: int | None
    threads: int
    channel: int | None = None
    resample: bool = False
    mnn_home: Path | None = None
    mnn_mini_home: Path | None = None


def setup_for(
    options: ModelOptions, *, phase: Callable[[str], None], note: Callable[[str], None]
) -> ExtractionSetup:
    """Return what computes the embeddings, the model file made if need be.

    Args:
        options: what was asked for.
        phase: is told what takes a while.
        note: is told where the model decides otherwise.

    Raises:
        InputError: it cannot be had; the message names the option.
    """
    try:
        if options.chunk_samples is not None:
            ChunkPolicy(options.chunk_samples)
        text = options.engine or _default_engine(options.model)
        folders = homes.named(options.mnn_home, options.mnn_mini_home, specs=[text])
        text = homes.place(text, folders)
        spec = parse_engine(text)
        chosen(registry.get(spec.name), SessionOptions(options.threads, spec.settings))
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from error
    homes.check_homes([text])
    if options.threads > len(usable_cores()):
        raise InputError(
            f"--threads {options.threads}: this process may use {len(usable_cores())} cores"
        )
    logs = cache_folder() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        artifact = artifact_for(
            options.model,
            spec.name,
            form=options.form,
            chunk_samples=options.chunk_samples,
            logs=logs,
            phase=phase,
        )
    except ChildError as error:
        raise InputError(f"{options.model}: {error}") from error
    if options.chunk_samples is not None:
        chunk_samples = chunk_samples_for(artifact, options.chunk_samples)
    elif artifact.num_frames is not None:
        chunk_samples = natural_chunk_samples(artifact.num_frames)
    else:
        chunk_samples = PUBLISHED_CHUNK_SAMPLES
    if chunk_samples not in (options.chunk_samples, PUBLISHED_CHUNK_SAMPLES):
        frames = f"{artifact.num_frames} frames ({chunk_samples} samples)"
        note(f"{artifact.path}: a static model, which takes chunks of {frames}")
    return ExtractionSetup(
        artifact=artifact,
        engine=spec.name,
        settings=spec.settings,
        chunk_samples=chunk_samples,
        channel=options.channel,
        resample=options.resample,
    )


@contextmanager
def workers(
    setup: ExtractionSetup,
    options: ModelOptions,
    *,
    jobs: int = 1,
    timeout_s: float | None = None,
) -> Iterator[Pool]:
    """Run a pool for a setup until the block ends."""
    with (
        TemporaryDirectory(prefix="rtfbench-") as logs,
        Pool(
            setup,
            jobs=jobs,
            threads=options.threads,
            cores=usable_cores(),
            logs=Path(logs),
            timeout_s=timeout_s,
        ) as pool,
    ):
        yield pool


def _default_engine(model: str) -> str:
    return "onnxruntime" if Path(model).suffix == ".onnx" else "mnn"
