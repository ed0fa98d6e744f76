"""What the cells of a run need before anything is timed: model files and reference embeddings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench.base.child import ChildError, run_module
from bench.base.errors import InputError
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.base.values import Value
from bench.embed import reference
from bench.embed.audio_input import Source
from bench.embed.reference import ReferenceRequest
from bench.models import user_models
from bench.models.model_files import is_path
from bench.models.probe import probe
from bench.models.user_models import UserModel, natural_chunk_samples
from bench.plan.engine_spec import parse_engine
from bench.results.cells import Cell, Status
from bench.zoo import artifacts, catalog
from bench.zoo.artifacts import ArtifactRequest
from engines import registry
from engines.protocol import EngineError, Form, ModelArtifact
from frontends.chunking import WHOLE_UTTERANCE, ChunkPolicy

STATIC_NEEDS_CHUNKS = "a static model needs chunks of one size; name one with --chunk-samples"

#: What exporting a model of the catalog imports.
ZOO_PACKAGES = ("torch", "onnx", "onnxscript")

Users = Mapping[str, UserModel]


class PrepareRequest(Value):
    """Everything that is missing for one model.

    `python -m bench.models.prepare` makes it for a model of the catalog,
    `bench.models.prepare_file` for a user's file.
    """

    model: str
    artifacts: tuple[ArtifactRequest, ...]
    references: tuple[ReferenceRequest, ...]
    user: UserModel | None = None


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
    users: Users | None = None,
) -> list[Prepared]:
    """Make what the cache lacks, one process a model, and return the cells in their order.

    Args:
        cells: what will be measured.
        sources: the utterances.
        cores: how many cores this process may use.
        logs: a folder for the requests and what the processes print.
        phase: is told what begins.
        users: the models that are no names of the catalog but files.

    Raises:
        InputError: models of the catalog cannot be made here; the message names the cure.
    """
    job = _Job(sources, cores, users or {})
    failures: dict[str, str] = {}
    for model in dict.fromkeys(cell.model for cell in cells):
        possible = [c for c in cells if c.model == model and job.refusal(c) is None]
        request = job.missing(model, possible)
        if request.artifacts or request.references:
            phase(f"preparing {model} (once, then cached)")
            try:
                _make(request, logs)
            except ChildError as error:
                failures[model] = f"preparing {model} failed: {error}"
    return [job.prepared(cell, failures.get(cell.model)) for cell in cells]


def artifact_for(
    model: str,
    engine: str,
    *,
    form: Form | None,
    chunk_samples: int | None,
    logs: Path,
    phase: Callable[[str], None],
) -> ModelArtifact:
    """Return the model file that an engine reads, made if the cache lacks it.

    Args:
        model: a name of the catalog, or a path.
        engine: an engine's name, with settings or without.
        form: None takes what the engine prefers, or the only one that a file has.
        chunk_samples: the chunk that a static model is fixed to, `WHOLE_UTTERANCE` for none;
            None takes the one of a static file, or the usual one.
        logs: a folder for the request and what the preparing process prints.
        phase: is told what begins.

    Raises:
        InputError: there is no such model or engine, or they do not fit.
        ChildError: making the file failed.
    """
    user = user_models.load_user_model(model) if is_path(model) else None
    if chunk_samples is None:
        fixed_frames = user.file.num_frames if user else None
        chunk_samples = (
            natural_chunk_samples(fixed_frames) if fixed_frames else PUBLISHED_CHUNK_SAMPLES
        )
    try:
        slug = user.slug if user else catalog.get(model).name
        reader = registry.get(parse_engine(engine).name)
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from None
    if user:
        form = form or user.form_for(reader.name)
        user_models.check_chunks(user.file, chunk_samples)
        refused = user.refusal(reader.name, form)
        if refused:
            raise InputError(refused)
    request = ArtifactRequest(
        model=slug,
        format=reader.format,
        form=form or reader.default_form,
        chunk_frames=ChunkPolicy(chunk_samples).num_frames,
    )
    if request.form == "static" and request.chunk_frames is None:
        raise InputError(f"{engine}: {STATIC_NEEDS_CHUNKS}")
    folder = user.folder if user else None
    if artifacts.find(request, folder) is None:
        phase(f"preparing {model} (once, then cached)")
        logs.mkdir(parents=True, exist_ok=True)
        try:
            _make(PrepareRequest(model=slug, artifacts=(request,), references=(), user=user), logs)
        except ChildError:
            runtime = probe(reader.name)
            if not runtime.ok:
                raise InputError(f"{reader.name}: {runtime.reason}") from None
            raise
    found = artifacts.find(request, folder)
    if found is None:
        raise ChildError(f"{model}: its files vanished from the cache; run again")
    return found


def _make(request: PrepareRequest, logs: Path) -> None:
    """Run the process that prepares a model.

    Raises:
        InputError: a package is missing without which no model of the catalog can be made.
        ChildError: something was not made.
    """
    if request.user is None:
        _require_zoo(request.model)
    path = logs / f"prepare-{request.model}.json"
    path.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")
    module = "bench.models.prepare_file" if request.user else "bench.models.prepare"
    run_module(module, str(path), log=path.with_suffix(".log"))


def _require_zoo(model: str) -> None:
    for package in ZOO_PACKAGES:
        try:
            found = find_spec(package) is not None
        except ImportError:
            found = False
        if not found:
            raise InputError(
                f"{model}: making its files needs {package}, which is not installed; "
                "install it with: pip install 'rtfbench[zoo]'"
            )


@dataclass(frozen=True)
class _Job:
    """What all cells of a run share."""

    sources: tuple[Source, ...]
    cores: int
    users: Users = field(default_factory=dict)

    def refusal(self, cell: Cell) -> Refusal | None:
        """Refuse what no preparation could make possible."""
        if cell.threads > self.cores:
            reason = f"{cell.threads} threads, but this process may use {self.cores} cores"
            return Refusal("unsupported", reason)
        if cell.form == "static" and cell.chunk_samples == WHOLE_UTTERANCE:
            return Refusal("unsupported", STATIC_NEEDS_CHUNKS)
        user = self.users.get(cell.model)
        reason = user.refusal(cell.engine, cell.form) if user else ""
        return Refusal("unsupported", reason) if reason else None

    def missing(self, model: str, cells: Sequence[Cell]) -> PrepareRequest:
        """Return what the cache lacks for the cells of a model."""
        user = self.users.get(model)
        files = dict.fromkeys(self._artifact_request(cell) for cell in cells)
        sizes = {cell.chunk_samples: cell for cell in cells}
        return PrepareRequest(
            model=user.slug if user else model,
            artifacts=tuple(
                each for each in files if artifacts.find(each, self._folder(model)) is None
            ),
            references=tuple(
                self._reference_request(cell)
                for cell in sizes.values()
                if not self._reference_path(cell).is_file()
            ),
            user=user,
        )

    def prepared(self, cell: Cell, failure: str | None) -> Prepared:
        """Return a cell with what was found or made for it."""
        user = self.users.get(cell.model)
        title = user.title if user else catalog.get(cell.model).title
        refusal = self.refusal(cell)
        if refusal is not None:
            return Prepared(cell, title, refusal=refusal)
        artifact = artifacts.find(self._artifact_request(cell), self._folder(cell.model))
        path = self._reference_path(cell)
        if artifact is None and failure is not None:
            engine = probe(cell.engine)
            if not engine.ok:
                # Without its runtime, there was nothing to convert the model with either.
                return Prepared(cell, title, refusal=Refusal("unavailable", engine.reason))
        if artifact is None or not path.is_file():
            reason = failure or f"{cell.model}: its files vanished from the cache; run again"
            return Prepared(cell, title, artifact, refusal=Refusal("failed", reason))
        return Prepared(cell, title, artifact, path)

    def _folder(self, model: str) -> Path | None:
        user = self.users.get(model)
        return user.folder if user else None

    def _name(self, cell: Cell) -> str:
        user = self.users.get(cell.model)
        return user.slug if user else cell.model

    def _artifact_request(self, cell: Cell) -> ArtifactRequest:
        return ArtifactRequest(
            model=self._name(cell),
            format=registry.get(cell.engine).format,
            form=cell.form,
            chunk_frames=ChunkPolicy(cell.chunk_samples).num_frames,
        )

    def _reference_request(self, cell: Cell) -> ReferenceRequest:
        return ReferenceRequest(
            model=self._name(cell), chunk_samples=cell.chunk_samples, sources=self.sources
        )

    def _reference_path(self, cell: Cell) -> Path:
        user = self.users.get(cell.model)
        key = user.key if user else artifacts.zoo_key()
        return reference.path_of(self._reference_request(cell), key)
