"""What is explained: one model on several engines, with the ONNX graph that all were made from."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtfbench.base.cache import cache_room
from rtfbench.base.child import Interpreter
from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.embed import audio_input
from rtfbench.embed.audio_input import Source
from rtfbench.engines.protocol import CPU, FLOAT32, Form, ModelArtifact
from rtfbench.measure.plan import load_plan, resolve_plan
from rtfbench.measure.schedule import draw_seed
from rtfbench.models.workload import Prepared, prepare
from rtfbench.results import protocols
from rtfbench.results.cells import Cell
from rtfbench.results.protocols import BUILT_IN

#: The engine that reads the graph as it is.
SOURCE_ENGINE = "onnxruntime"
#: Of the package's recordings, the first chunk of one of so many short ones is computed.
SHORT_ONES = 4


@dataclass(frozen=True)
class RuntimeVersion:
    """A version of an engine's runtime, `name@version`, and the Python that has it."""

    name: str
    python: Interpreter


@dataclass(frozen=True)
class Subject:
    """Engines on one model, in the order in which they were asked for.

    Attributes:
        cells: what each engine runs; every one has its files.
        sources: form -> the ONNX file that the engines' files of that form were made from.
        speech: the utterance whose first chunk is computed.
        seed: of the order of turns.
        versions: of one engine in several versions, those of the cells, in their order.
    """

    cells: tuple[Prepared, ...]
    sources: Mapping[Form, ModelArtifact]
    speech: Source
    seed: int
    versions: tuple["RuntimeVersion", ...] = ()

    def source_of(self, cell: Cell) -> ModelArtifact:
        """Return the ONNX file that a cell's was made from."""
        return self.sources[cell.form]


def subject_of(
    flags: Mapping[str, Any],
    *,
    libraries: Mapping[str, Path | None] | None = None,
    phase: Callable[[str], None],
    note: Callable[[str], None],
) -> Subject:
    """Resolve what was asked for, and make what the cache lacks.

    Args:
        flags: fields of a `Plan` -> what options say; of models and protocols there is one.
        libraries: folders of the user's own, by the engines that they are for.
        phase: is told what takes a while.
        note: is told which engine is left out, and why.

    Raises:
        InputError: the model cannot be used, or no engine can; one line with the cure.
    """
    plan = load_plan(None, dict(flags))
    (model,), (protocol,) = plan.models, plan.protocols
    if protocols.named(protocol).explained is None:
        known = " or ".join(each for each in BUILT_IN if protocols.named(each).explained)
        raise InputError(f"--protocol {protocol}: has no chunk to explain; choose {known}")
    if Path(model).suffix == ".mnn":
        raise InputError(f"{model}: name the .onnx file that it was made from, and --engine mnn")
    resolved = resolve_plan(plan, libraries, say=phase)
    forms = dict.fromkeys(cell.form for cell in resolved.cells)
    sources = [_source(resolved.cells[0], form) for form in forms]
    speech = chosen_speech()
    found = prepare(
        replace(resolved, cells=(*resolved.cells, *sources)),
        (speech,),
        cores=core_count(),
        logs=cache_room("logs"),
        phase=phase,
    )
    count = len(resolved.cells)
    graphs = {each.cell.form: artifact_of(each) for each in found[count:]}
    cells = list(_usable(found[:count], note))
    if not cells:
        raise InputError(f"{model}: none of the engines can run it; see: rtfbench engines")
    seed = draw_seed() if plan.seed is None else plan.seed
    return Subject(tuple(cells), graphs, speech, seed)


def chosen_speech() -> Source:
    """Return the utterance whose first chunk is computed."""
    return audio_input.shortest(SHORT_ONES)[-1]


def artifact_of(prepared: Prepared) -> ModelArtifact:
    """Return a cell's file.

    Raises:
        InputError: there is none.
    """
    if prepared.artifact is None or prepared.refusal is not None:
        reason = prepared.refusal.reason if prepared.refusal else "there is no file of it"
        raise InputError(f"{prepared.cell.model} on {prepared.cell.engine_label}: {reason}")
    return prepared.artifact


def _source(cell: Cell, form: Form) -> Cell:
    """Return the cell whose file is the graph itself."""
    update = {"engine": SOURCE_ENGINE, "settings": {}, "precision": FLOAT32, "device": CPU}
    return cell.model_copy(update={**update, "form": form})


def _usable(cells: Iterable[Prepared], note: Callable[[str], None]) -> Iterator[Prepared]:
    """Yield the cells that can run, and tell of the others."""
    for each in cells:
        try:
            artifact_of(each)
        except InputError as error:
            note(f"left out: {error}")
        else:
            yield each
