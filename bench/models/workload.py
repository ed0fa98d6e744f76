"""What the cells of a run need before anything is timed: model files and reference embeddings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from rtfbench.base.asking import ask
from rtfbench.base.cache import CACHE_VARIABLE, cache_folder, check_cache, intact
from rtfbench.base.child import ChildError
from rtfbench.base.core_count import cores_here
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_room
from rtfbench.base.memory import MemoryLimit
from rtfbench.base.values import grouped
from rtfbench.embed import reference
from rtfbench.embed.audio_input import Source
from rtfbench.embed.pipeline import whole_front_end_text
from rtfbench.embed.reference import ReferenceRequest
from rtfbench.engines import registry
from rtfbench.engines.base import lacking, refuse_options
from rtfbench.engines.protocol import CPU, FLOAT32, EngineSpec, ModelArtifact
from rtfbench.frontends.chunking import WHOLE_UTTERANCE, ChunkPolicy
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models import artifacts
from rtfbench.models.artifacts import ArtifactRequest, CatalogModel
from rtfbench.models.conversion import maker_key, quantizer_key
from rtfbench.models.front_ends import brought
from rtfbench.models.prepare import PrepareAnswer, PrepareRequest
from rtfbench.models.probe import away, lacks, probe
from rtfbench.models.resolve import Resolved
from rtfbench.results.cells import Cell, Status

STATIC_NEEDS_CHUNKS = "a static model needs chunks of one size; name one with --chunk-samples"
STATIC_NEVER_SHORT = (
    "a static model takes no short last chunk, which its front end keeps; choose --form dynamic, "
    'or another last_chunk than "short"'
)
STATIC_TAKES_ONE = "a static model takes one chunk at a time; choose --batch 1 or --form dynamic"
#: What exporting a model of the catalog imports.
ZOO_PACKAGES = ("torch", "onnx", "onnxscript")
#: One file of the largest model of the catalog, on a slow machine.
FILE_TIMEOUT_S = 1200.0
#: The references of long recordings.
REFERENCES_TIMEOUT_S = 4 * 3600.0


#: Why a file was not made; under None, why something was not that others need too.
Failures = Mapping[ArtifactRequest | None, str]


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
    resolved: Resolved,
    sources: tuple[Source, ...],
    *,
    cores: int,
    logs: Path,
    phase: Callable[[str], None],
    memory: MemoryLimit | None = None,
) -> list[Prepared]:
    """Make what the cache lacks, one process a model, and return the cells in their order.

    Without utterances as sources no reference is made. What the processes print is in `logs`.

    Raises:
        InputError: models of the catalog cannot be made here, or nothing can be kept; the message
            names the cure.
    """
    needs = [_Need(cell, resolved, sources, cores) for cell in resolved.cells]
    failures: dict[str, Failures] = {}
    for model in dict.fromkeys(cell.model for cell in resolved.cells):
        possible = [need for need in needs if need.cell.model == model and need.refusal is None]
        request = _missing(possible)
        if request is not None:
            check_cache()
            what = f"making the files of {model}"
            # A little too little: the weights alone.
            quarters = sum(4 if each.precision == FLOAT32 else 1 for each in request.artifacts)
            size_bytes = request.model.size_bytes * quarters // 4
            check_room(cache_folder(), size_bytes, what=what, named_by=CACHE_VARIABLE)
            phase(f"preparing {model}: {_told(request)} (once, then cached)")
            if isinstance(request.model, CatalogModel):
                _require_zoo(model)
            logs.mkdir(parents=True, exist_ok=True)
            failures[model] = _make(request, logs / f"prepare-{request.model.slug}.log", memory)
    found = [need.prepared(failures.get(need.cell.model, {})) for need in needs]
    models = grouped((each.title, each.cell.model) for each in found)
    # Files of one name are told apart by their paths.
    return [
        replace(each, title=each.cell.model) if len(set(models[each.title])) > 1 else each
        for each in found
    ]


def _missing(needs: "Sequence[_Need]") -> PrepareRequest | None:
    """Return what the cache lacks for the cells of a model, None where that is nothing."""
    files = tuple(dict.fromkeys(need.file for need in needs if need.artifact() is None))
    paths = {need.reference_path: need.reference for need in needs}
    references = tuple(paths[path] for path in paths if path is not None and not intact(path))
    if not (files or references):
        return None
    return PrepareRequest(model=needs[0].model, artifacts=files, references=references)


def _told(request: PrepareRequest) -> str:
    files, what = len(request.artifacts), []
    if files:
        what.append(f"{files} model file{'s' * (files > 1)}")
    if request.references:
        what.append("the reference embeddings")
    return " and ".join(what)


def _make(request: PrepareRequest, log: Path, memory: MemoryLimit | None) -> Failures:
    """Run the process that prepares a model, and return what failed.

    When it crashes or hangs, which an engine's converter can make it do, each file, and the
    references, are made again in a process of their own: one engine costs the others nothing.
    """
    limit_s = FILE_TIMEOUT_S * len(request.artifacts)
    limit_s += REFERENCES_TIMEOUT_S if request.references else 0
    module = "rtfbench.models.prepare"
    try:
        answer = ask(module, request, PrepareAnswer, timeout_s=limit_s, log=log, memory=memory)
        return {each.file: f"{each.reason} (log: {log})" for each in answer.failures}
    except ChildError as error:
        parts = [*request.artifacts, *([None] if request.references else [])]
        if len(parts) == 1:
            return {parts[0]: f"{error}"}
    failures: dict[ArtifactRequest | None, str] = {}
    for file in parts:
        made = "references" if file is None else file.file_name
        less = {"artifacts": ()} if file is None else {"artifacts": (file,), "references": ()}
        part = request.model_copy(update=less)
        failures |= _make(part, log.with_name(f"{log.stem}-{made}.log"), memory)
    return failures


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


def _file_of(cell: Cell, name: str, front_end: FrontEnd) -> ArtifactRequest:
    """Return the file that a cell runs; in a precision that is refused, that in float32."""
    engine = registry.get(cell.engine)
    request = ArtifactRequest(
        model=name,
        format=engine.format,
        form=cell.form,
        chunk_frames=ChunkPolicy(cell.chunk_samples, front_end).num_frames,
        maker=maker_key(engine.format),
    )
    precision = engine.precisions_on(cell.device).get(cell.precision, FLOAT32)
    if precision == FLOAT32:
        return request
    asked = (
        f"{name}={cell.settings[name]}"
        for name, values in engine.recipes.items()
        if cell.settings.get(name, values[0]) != values[0]
    )
    made = {
        "precision": precision,
        "quantizer": cell.engine,
        "recipe": tuple(asked),
        "maker": quantizer_key(cell.engine),
    }
    return request.model_copy(update=made)


class _Need:
    """What one cell needs, and whether the cache has it."""

    def __init__(
        self, cell: Cell, resolved: Resolved, sources: tuple[Source, ...], cores: int
    ) -> None:
        self.cell, self._cores = cell, cores
        self.model = model = resolved.model(cell.model)
        self.file = _file_of(cell, model.slug, model.front_end)
        own, self._unlike = registry.get(cell.engine).front_end, ""
        try:
            own = own and whole_front_end_text(brought(own, model.front_end))
        except InputError as error:
            own, self._unlike = "", str(error)
        self.reference = ReferenceRequest(
            model=model.slug, chunk_samples=cell.chunk_samples, sources=sources, front_end=own
        )
        self.reference_path = reference.path_of(self.reference, model.key) if sources else None

    @property
    def refusal(self) -> Refusal | None:
        """Refuse what no preparation could make possible."""
        cell = self.cell
        if reason := self._unsupported():
            return Refusal("unsupported", reason)
        gone = away(cell.engine, cell.device) if cell.device != CPU else ""
        return Refusal("unavailable", gone) if gone else None

    def _unsupported(self) -> str:
        cell, static = self.cell, self.cell.form == "static"
        if cell.batch > 1 and static:
            return STATIC_TAKES_ONE
        jobs = f"{cell.jobs} jobs of " if cell.jobs > 1 and cell.cores > self._cores else ""
        if jobs or cell.threads > self._cores:
            return f"{jobs}{cell.threads} threads, but {cores_here().told(self._cores)}"
        if static and cell.chunk_samples == WHOLE_UTTERANCE:
            return STATIC_NEEDS_CHUNKS
        if static and self.model.front_end.last_chunk == "short":
            return STATIC_NEVER_SHORT
        engine = registry.get(cell.engine)
        return (
            refuse_options(engine, cell.options)
            or lacking(engine, cell.options, lambda: lacks(cell.engine))
            or self._unlike
            or self.model.refusal(cell.engine, cell.form)
        )

    def artifact(self) -> ModelArtifact | None:
        """Return the model file that the cache has."""
        return artifacts.find(self.file, self.model.folder)

    def prepared(self, failures: Failures) -> Prepared:
        """Return the cell with what was found or made for it."""
        title, refusal = self.model.title, self.refusal
        if refusal is not None:
            return Prepared(self.cell, title, refusal=refusal)
        artifact, path = self.artifact(), self.reference_path
        failure = failures.get(self.file if artifact is None else None, failures.get(None))
        if artifact is None and failure is not None:
            engine = probe(EngineSpec(self.cell.engine, {}))
            if not engine.ok:
                # Without its runtime, there was nothing to convert the model with either.
                refusal = Refusal("unavailable", engine.reason)
                return Prepared(self.cell, title, refusal=refusal)
        if artifact is None or (path is not None and not intact(path)):
            reason = f"{self.cell.model}: its files vanished from the cache; run again"
            if failure is not None:
                reason = f"preparing {self.cell.model} failed: {failure}"
            return Prepared(self.cell, title, artifact, refusal=Refusal("failed", reason))
        return Prepared(self.cell, title, artifact, path)
