"""What the cells of a run need before anything is timed: model files and reference embeddings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import model_file, reference
from bench.child import ChildError, run_module
from bench.errors import InputError
from bench.messages import Source
from bench.records import WHOLE_UTTERANCE, Cell, Status, Value
from bench.reference import ReferenceRequest
from bench.zoo import artifacts, catalog
from bench.zoo.artifacts import ArtifactRequest
from engines import registry
from engines.protocol import EngineError, Form, ModelArtifact
from frontends.chunking import ChunkPolicy


class PrepareRequest(Value):
    """Everything that is missing for one model; `python -m bench.prepare` makes it."""

    model: str
    artifacts: tuple[ArtifactRequest, ...]
    references: tuple[ReferenceRequest, ...]


@dataclass(frozen=True)
class Refusal:
    """Why a cell cannot be measured."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Prepared:
    """A cell with its files, or with the reason why there are none."""

    cell: Cell
    title: str
    artifact: ModelArtifact | None = None
    reference: Path | None = None
    refusal: Refusal | None = None


def prepare(
    cells: Sequence[Cell],
    sources: tuple[Source, ...],
    *,
    cores: int,
    logs: Path,
    phase: Callable[[str], None],
) -> list[Prepared]:
    """Make what the cache lacks, one process a model, and return the cells in their order.

    Args:
        cells: what will be measured.
        sources: the utterances.
        cores: how many cores this process may use.
        logs: a folder for the requests and what the processes print.
        phase: is told what begins.
    """
    failures: dict[str, str] = {}
    for model in dict.fromkeys(cell.model for cell in cells):
        possible = [c for c in cells if c.model == model and _refusal(c, cores) is None]
        request = _missing(model, possible, sources)
        if request.artifacts or request.references:
            phase(f"preparing {model} (once, then cached)")
            try:
                _make(request, logs)
            except ChildError as error:
                failures[model] = f"preparing {model} failed: {error}"
    return [_prepared(cell, sources, cores, failures.get(cell.model)) for cell in cells]


def artifact_for(
    model: str,
    engine: str,
    *,
    form: Form | None,
    chunk_samples: int,
    logs: Path,
    phase: Callable[[str], None],
) -> ModelArtifact:
    """Return the model file that an engine runs, made if the cache lacks it.

    Args:
        model: a name of the catalog, or the path of a model file.
        engine: the engine's name.
        form: dynamic or static; None takes what the engine prefers.
        chunk_samples: what a static model is fixed to.
        logs: a folder for what the process that makes it prints.
        phase: is told what begins.

    Raises:
        InputError: there is no such model, or none of this form.
        ChildError: it cannot be made.
    """
    if Path(model).suffix in model_file.SUFFIXES:
        return model_file.read(Path(model))
    try:
        catalog.get(model)
        found = registry.get(engine)
    except (catalog.UnknownModelError, EngineError) as error:
        raise InputError(str(error)) from error
    form = form or found.default_form
    if form == "static" and chunk_samples == WHOLE_UTTERANCE:
        raise InputError("a static model needs chunks of one size; name one")
    frames = ChunkPolicy(chunk_samples).num_frames
    request = ArtifactRequest(model=model, format=found.format, form=form, chunk_frames=frames)
    artifact = artifacts.find(request)
    if artifact is None:
        phase(f"preparing {model} (once, then cached)")
        _make(PrepareRequest(model=model, artifacts=(request,), references=()), logs)
        artifact = artifacts.find(request)
    if artifact is None:
        raise ChildError(f"{model}: its file vanished from the cache; run again")
    return artifact


def _make(request: PrepareRequest, logs: Path) -> None:
    path = logs / f"prepare-{request.model}.json"
    path.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")
    run_module("bench.prepare", str(path), log=path.with_suffix(".log"))


def _refusal(cell: Cell, cores: int) -> Refusal | None:
    """Refuse what no preparation could make possible."""
    if cell.threads > cores:
        return Refusal(
            "unsupported", f"{cell.threads} threads, but this process may use {cores} cores"
        )
    if cell.form == "static" and cell.chunk_samples == WHOLE_UTTERANCE:
        return Refusal(
            "unsupported", "a static model needs chunks of one size; name one with --chunk-samples"
        )
    return None


def _artifact_request(cell: Cell) -> ArtifactRequest:
    return ArtifactRequest(
        model=cell.model,
        format=registry.get(cell.engine).format,
        form=cell.form,
        chunk_frames=ChunkPolicy(cell.chunk_samples).num_frames,
    )


def _reference_path(cell: Cell, sources: tuple[Source, ...]) -> Path:
    return reference.path_of(_reference_request(cell, sources), artifacts.zoo_key())


def _reference_request(cell: Cell, sources: tuple[Source, ...]) -> ReferenceRequest:
    return ReferenceRequest(model=cell.model, chunk_samples=cell.chunk_samples, sources=sources)


def _missing(model: str, cells: Sequence[Cell], sources: tuple[Source, ...]) -> PrepareRequest:
    files = dict.fromkeys(_artifact_request(cell) for cell in cells)
    sizes = {cell.chunk_samples: cell for cell in cells}
    return PrepareRequest(
        model=model,
        artifacts=tuple(each for each in files if artifacts.find(each) is None),
        references=tuple(
            _reference_request(cell, sources)
            for cell in sizes.values()
            if not _reference_path(cell, sources).is_file()
        ),
    )


def _prepared(cell: Cell, sources: tuple[Source, ...], cores: int, failure: str | None) -> Prepared:
    title = catalog.get(cell.model).title
    refusal = _refusal(cell, cores)
    if refusal is not None:
        return Prepared(cell, title, refusal=refusal)
    artifact = artifacts.find(_artifact_request(cell))
    path = _reference_path(cell, sources)
    if artifact is None or not path.is_file():
        reason = failure or f"{cell.model}: its files vanished from the cache; run again"
        return Prepared(cell, title, artifact, refusal=Refusal("failed", reason))
    return Prepared(cell, title, artifact, path)
