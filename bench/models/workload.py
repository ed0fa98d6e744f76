"""What the cells of a run need before anything is timed: model files and reference embeddings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rtfbench.base.asking import ask
from rtfbench.base.cache import CACHE_VARIABLE, cache_folder, check_cache, intact
from rtfbench.base.child import ChildError
from rtfbench.base.core_count import cores_here
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_room
from rtfbench.base.memory import MemoryLimit
from rtfbench.embed import fed, reference
from rtfbench.embed.audio_input import Source
from rtfbench.embed.reference import ReferenceRequest
from rtfbench.engines import registry
from rtfbench.engines.base import lacking, refuse_device, refuse_precision
from rtfbench.engines.protocol import CPU, FLOAT32, ModelArtifact
from rtfbench.engines.spec import EngineSpec
from rtfbench.frontends.chunking import WHOLE_UTTERANCE, ChunkPolicy
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models import artifacts
from rtfbench.models.artifacts import ArtifactRequest
from rtfbench.models.conversion import maker_key, quantizer_key
from rtfbench.models.front_ends import brought
from rtfbench.models.prepare import PrepareAnswer, PrepareRequest
from rtfbench.models.probe import away, lacks, probe
from rtfbench.models.resolve import Resolved
from rtfbench.models.zoo import catalog
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

    Args:
        resolved: what will be measured.
        sources: the utterances that a reference is made of; without any, none is.
        cores: how many cores this process may use.
        logs: a folder for what the preparing processes print.
        phase: is told what begins.
        memory: what the process of a model may take.

    Raises:
        InputError: models of the catalog cannot be made here, or nothing can be kept; the message
            names the cure.
    """
    needs = [_Need(cell, resolved, sources, cores) for cell in resolved.cells]
    failures: dict[str, Failures] = {}
    for model in dict.fromkeys(cell.model for cell in resolved.cells):
        possible = [need for need in needs if need.cell.model == model and need.refusal is None]
        request = _missing(model, possible)
        if request is not None:
            check_cache()
            what = f"making the files of {model}"
            check_room(cache_folder(), _size_bytes(request), what=what, named_by=CACHE_VARIABLE)
            phase(f"preparing {model} (once, then cached)")
            failures[model] = _make(request, logs, memory)
    return [need.prepared(failures.get(need.cell.model, {})) for need in needs]


def _missing(model: str, needs: "Sequence[_Need]") -> PrepareRequest | None:
    """Return what the cache lacks for the cells of a model, None where that is nothing."""
    files = dict.fromkeys(need.file for need in needs if need.artifact() is None)
    references = {
        path: need.reference
        for need in needs
        for path in [need.reference_path]
        if path is not None and not intact(path)
    }
    if not (files or references):
        return None
    user = needs[0].user
    return PrepareRequest(
        model=user.slug if user else model,
        artifacts=tuple(files),
        references=tuple(references.values()),
        user=user,
        weights=needs[0].weights,
    )


def _size_bytes(request: PrepareRequest) -> int:
    """Return what a model's missing files take about, a little too little: its weights alone."""
    if request.user is not None:
        whole = request.user.file.path.stat().st_size
    else:
        millions = catalog.get(request.model).published_params
        whole = round(float(millions.split()[0]) * 4e6) if millions else 0
    quarters = sum(4 if each.precision == FLOAT32 else 1 for each in request.artifacts)
    return whole * quarters // 4


def _make(request: PrepareRequest, logs: Path, memory: MemoryLimit | None) -> Failures:
    """Run the process that prepares a model, and return what failed.

    When it crashes or hangs, which an engine's converter can make it do, each part is made again
    in a process of its own, so that one engine costs the others nothing.

    Raises:
        InputError: a package is missing without which no model of the catalog can be made.
    """
    if request.user is None:
        _require_zoo(request.model)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"prepare-{request.model}.log"
    try:
        return _ask(request, log, memory)
    except ChildError as error:
        parts = _parts(request)
        if len(parts) == 1:
            return {next(iter(request.artifacts), None): f"{error}"}
    failures: dict[ArtifactRequest | None, str] = {}
    for part in parts:
        made = part.artifacts[0].file_name if part.artifacts else "references"
        part_log = logs / f"prepare-{part.model}-{made}.log"
        try:
            failures |= _ask(part, part_log, memory)
        except ChildError as error:
            failures[next(iter(part.artifacts), None)] = f"{error}"
    return failures


def _ask(request: PrepareRequest, log: Path, memory: MemoryLimit | None) -> Failures:
    """Ask a process of its own for what is missing.

    Raises:
        ChildError: it crashed, took too much memory, or did not end in time.
    """
    limit_s = FILE_TIMEOUT_S * len(request.artifacts)
    limit_s += REFERENCES_TIMEOUT_S if request.references else 0
    module = "rtfbench.models.prepare"
    answer = ask(module, request, PrepareAnswer, timeout_s=limit_s, log=log, memory=memory)
    return {each.file: f"{each.reason} (log: {log})" for each in answer.failures}


def _parts(request: PrepareRequest) -> list[PrepareRequest]:
    """Split a request into one for each file, and one for the references."""
    parts = [
        request.model_copy(update={"artifacts": (file,), "references": ()})
        for file in request.artifacts
    ]
    if request.references:
        parts.append(request.model_copy(update={"artifacts": ()}))
    return parts


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


def _own_front_end(cell: Cell, front_end: FrontEnd) -> tuple[str, str]:
    """Return the front end that a cell's engine brings, as text, or why it has none that fits."""
    own = registry.get(cell.engine).front_end
    if not own:
        return "", ""
    try:
        return fed.dumped(brought(own, front_end)), ""
    except InputError as error:
        return "", str(error)


class _Need:
    """What one cell needs, and whether the cache has it."""

    def __init__(
        self, cell: Cell, resolved: Resolved, sources: tuple[Source, ...], cores: int
    ) -> None:
        self.cell = cell
        self.user = resolved.users.get(cell.model)
        self.weights = resolved.weights
        name = self.user.slug if self.user else cell.model
        self._front_end = resolved.front_end(cell.model)
        self.file = _file_of(cell, name, self._front_end)
        own, self._unlike = _own_front_end(cell, self._front_end)
        self.reference = ReferenceRequest(
            model=name,
            chunk_samples=cell.chunk_samples,
            sources=sources,
            front_end=own,
        )
        self._cores = cores
        if self.user:
            self._folder, key = self.user.folder, self.user.key
        else:
            key = artifacts.catalog_files(name, self.weights)
            self._folder = artifacts.folder_of(name, key)
        self.reference_path = reference.path_of(self.reference, key) if sources else None

    @property
    def refusal(self) -> Refusal | None:
        """Refuse what no preparation could make possible."""
        cell = self.cell
        if cell.batch > 1 and cell.form == "static":
            return Refusal("unsupported", STATIC_TAKES_ONE)
        if cell.jobs > 1 and cell.cores > self._cores:
            reason = f"{cell.jobs} jobs of {cell.threads} threads"
        elif cell.threads > self._cores:
            reason = f"{cell.threads} threads"
        else:
            reason = ""
        if reason:
            return Refusal("unsupported", f"{reason}, but {cores_here().told(self._cores)}")
        if cell.form == "static" and cell.chunk_samples == WHOLE_UTTERANCE:
            return Refusal("unsupported", STATIC_NEEDS_CHUNKS)
        if cell.form == "static" and self._front_end.last_chunk == "short":
            return Refusal("unsupported", STATIC_NEVER_SHORT)
        engine = registry.get(cell.engine)
        reason = (
            refuse_device(engine, cell.device)
            or refuse_precision(engine, cell.precision, cell.device)
            or lacking(engine, cell.options, lambda: lacks(cell.engine))
            or self._unlike
        )
        if not reason and self.user:
            reason = self.user.refusal(cell.engine, cell.form)
        if not reason and cell.device != CPU and (gone := away(cell.engine, cell.device)):
            return Refusal("unavailable", gone)
        return Refusal("unsupported", reason) if reason else None

    def artifact(self) -> ModelArtifact | None:
        """Return the model file that the cache has."""
        return artifacts.find(self.file, self._folder)

    def prepared(self, failures: Failures) -> Prepared:
        """Return the cell with what was found or made for it."""
        title = self.user.title if self.user else catalog.get(self.cell.model).title
        refusal = self.refusal
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
