"""Cells whose output may be wrong, with the graph that their files were made from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rtfbench.base.cache import cache_room
from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.embed.audio_input import Source, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.explain.cuts import Suspect
from rtfbench.explain.parts import SourceGraph
from rtfbench.explain.subject import Subject, artifact_of, chosen_speech, subject_of
from rtfbench.measure.plan import load_plan, resolve_plan
from rtfbench.models import onnx_graph
from rtfbench.models.probe import probe
from rtfbench.models.workload import Prepared, prepare

Say = Callable[[str], None]
Libraries = Mapping[str, Path | None]


def suspects_of(
    flags: Mapping[str, Any], *, libraries: Libraries, phase: Say, note: Say
) -> list[Suspect]:
    """Resolve what was asked for, and make what the cache lacks.

    Args:
        flags: fields of a `Plan`; with a `reference`, the model is a file that was converted from
            that.
        libraries: folders of the user's own, by the engines that they are for.
        phase: is told what takes a while.
        note: is told which engine is left out, and why.

    Raises:
        InputError: the model cannot be used, or no engine can; one line with the cure.
    """
    if flags.get("reference") is not None:
        return _made_elsewhere(flags, libraries, phase, note)
    (model,) = flags["models"]
    if Path(model).suffix == ".mnn":
        cure = "add --reference FILE.onnx, what it was made from"
        raise InputError(f"{model}: an MNN file alone has nothing to be compared with; {cure}")
    return suspects_in(subject_of(flags, libraries=libraries, phase=phase, note=note))


def suspects_in(subject: Subject) -> list[Suspect]:
    """Return the cells of a subject with the graph that their files were made from."""
    graphs = {
        form: _graph(source.path, source.input_name, source.output_name, None)
        for form, source in subject.sources.items()
    }
    return [
        _suspect(each, graphs[each.cell.form], subject.speech, made_elsewhere=False)
        for each in subject.cells
    ]


def _made_elsewhere(
    flags: Mapping[str, Any], libraries: Libraries, phase: Say, note: Say
) -> list[Suspect]:
    """Return the cells of a file that the user converted, and that runs as it is."""
    plan = load_plan(None, dict(flags))
    (model,) = plan.models
    resolved = resolve_plan(plan, libraries, say=phase)
    if model not in resolved.users:
        raise InputError(f"--reference: {model} is no model file; name one, or leave it out")
    reference = resolved.users[model].reference
    logs = cache_room("logs")
    found: list[Suspect] = []
    for each in prepare(resolved, (), cores=core_count(), logs=logs, phase=phase):
        try:
            frames = artifact_of(each).num_frames
        except InputError as error:
            note(f"left out: {error}")
            continue
        fixed = frames if reference.num_frames is None else None
        graph = _graph(reference.runs, reference.input_name, reference.output_name, fixed)
        found.append(_suspect(each, graph, chosen_speech(), made_elsewhere=True))
    if not found:
        raise InputError(f"{model}: none of the engines can run it; see: rtfbench engines")
    return found


def _graph(
    path: Path, input_name: str | None, output_name: str | None, num_frames: int | None
) -> SourceGraph:
    """Read a graph; with a number of frames, its input is fixed to them."""
    model = onnx_graph.load_graph(path)
    input_name = input_name or onnx_graph.inputs(model)[0].name
    output_name = output_name or onnx_graph.outputs(model)[0].name
    if num_frames is not None:
        model = onnx_graph.fix_frames(model, input_name, num_frames)
    return SourceGraph(model, input_name, output_name)


def _suspect(
    prepared: Prepared, graph: SourceGraph, speech: Source, *, made_elsewhere: bool
) -> Suspect:
    artifact = artifact_of(prepared)
    runtime = probe(prepared.cell.engine_spec)
    pipeline = Pipeline.for_model(artifact, prepared.cell.chunk_samples)
    return Suspect(
        cell=prepared.cell,
        artifact=artifact,
        graph=graph,
        features_BTM=pipeline.first_chunk(read_source(speech, pipeline.sample_rate_hz)),
        title=prepared.title,
        version=runtime.version,
        unavailable="" if runtime.ok else runtime.reason,
        made_elsewhere=made_elsewhere,
    )
