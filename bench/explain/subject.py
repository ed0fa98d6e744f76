"""What is explained: one model on several engines, with the ONNX graph that all were made from."""

from collections.abc import Callable, Mapping, Sequence
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
    """Engines on one model: their cells in the order in which they were asked for, with files.

    `sources` are the ONNX files that the engines' files of a form were made from, `speech` the
    utterance whose first chunk is computed, and the seed that of the order of turns. Of one engine
    in several versions, these are in the order of the cells.
    """

    cells: tuple[Prepared, ...]
    sources: Mapping[Form, ModelArtifact]
    speech: Source
    seed: int
    versions: tuple[RuntimeVersion, ...] = ()


def subject_of(
    flags: Mapping[str, Any],
    *,
    libraries: Mapping[str, Path | None] | None = None,
    phase: Callable[[str], None],
    note: Callable[[str], None],
) -> Subject:
    """Resolve fields of a `Plan` with one model and one protocol, and make what the cache lacks.

    `phase` is told what takes a while, `note` which engine is left out, and why. Libraries are
    folders of the user's own, by the engines that they are for.

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
    # A cell of each form whose file is the graph itself.
    update = {"engine": SOURCE_ENGINE, "settings": {}, "precision": FLOAT32, "device": CPU}
    sources = [
        resolved.cells[0].model_copy(update={**update, "form": form})
        for form in dict.fromkeys(cell.form for cell in resolved.cells)
    ]
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
    cells = usable(found[:count], model, note)
    return Subject(tuple(cells), graphs, speech, draw_seed() if plan.seed is None else plan.seed)


def chosen_speech() -> Source:
    """Return the utterance whose first chunk is computed."""
    return audio_input.shortest(SHORT_ONES)[-1]


def artifact_of(prepared: Prepared) -> ModelArtifact:
    """Return a cell's file; that there is none is an InputError."""
    if prepared.artifact is None or prepared.refusal is not None:
        reason = prepared.refusal.reason if prepared.refusal else "there is no file of it"
        raise InputError(f"{prepared.cell.model} on {prepared.cell.engine_label}: {reason}")
    return prepared.artifact


def usable(cells: Sequence[Prepared], model: str, note: Callable[[str], None]) -> list[Prepared]:
    """Return the cells that can run, and tell of the others; none at all is an InputError."""
    found = []
    for each in cells:
        try:
            artifact_of(each)
        except InputError as error:
            note(f"left out: {error}")
        else:
            found.append(each)
    if not found:
        raise InputError(f"{model}: none of the engines can run it; see: rtfbench engines")
    return found
