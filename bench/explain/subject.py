"""What is explained: one model on several engines, with the ONNX graph that all were made from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.base.cache import cache_folder
from bench.base.core_count import core_count
from bench.base.errors import InputError
from bench.embed import audio_input
from bench.embed.audio_input import Source
from bench.measure.schedule import draw_seed
from bench.models import homes
from bench.models.names import default_form, precisions_of
from bench.models.resolve import Asked, resolve
from bench.models.workload import Prepared, prepare
from bench.plan.plan_files import load_plan
from bench.plan.sweep import expand
from bench.results.cells import Cell
from engines.protocol import FLOAT32, Form, ModelArtifact

#: The engine that reads the graph as it is.
SOURCE_ENGINE = "onnxruntime"
#: Of the package's recordings, the first chunk of one of so many short ones is computed.
SHORT_ONES = 4


@dataclass(frozen=True)
class Subject:
    """Engines on one model, in the order in which they were asked for.

    Attributes:
        cells: what each engine runs; every one has its files.
        sources: form -> the ONNX file that the engines' files of that form were made from.
        speech: the utterance whose first chunk is computed.
        seed: of the order of turns.
    """

    cells: tuple[Prepared, ...]
    sources: Mapping[Form, ModelArtifact]
    speech: Source
    seed: int

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
    (model,) = plan.models
    if Path(model).suffix == ".mnn":
        raise InputError(f"{model}: name the .onnx file that it was made from, and --engine mnn")
    cores = core_count()
    resolved = resolve(
        expand(plan, default_form, precisions_of, cores=cores),
        folders=homes.named(plan.engines, libraries),
        asked=Asked(
            sizes="chunk_samples" in plan.model_fields_set,
            forms=bool(plan.forms),
            weights=plan.weights,
        ),
        phase=phase,
    )
    sources = [_source(resolved.cells[0], form) for form in _forms(resolved.cells)]
    speech = chosen_speech()
    found = prepare(
        replace(resolved, cells=(*resolved.cells, *sources)),
        (speech,),
        cores=cores,
        logs=cache_folder() / "logs",
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


def _forms(cells: Sequence[Cell]) -> tuple[Form, ...]:
    return tuple(dict.fromkeys(cell.form for cell in cells))


def _source(cell: Cell, form: Form) -> Cell:
    """Return the cell whose file is the graph itself."""
    update = {"engine": SOURCE_ENGINE, "settings": {}, "precision": FLOAT32, "form": form}
    return cell.model_copy(update=update)


def _usable(cells: Iterable[Prepared], note: Callable[[str], None]) -> Iterator[Prepared]:
    """Yield the cells that can run, and tell of the others."""
    for each in cells:
        try:
            artifact_of(each)
        except InputError as error:
            note(f"left out: {error}")
        else:
            yield each
