"""Cells whose output may be wrong, and what their engines compute of parts of the graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnx import ModelProto

from rtfbench.base.cache import cache_room
from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.base.scratch import process_folder
from rtfbench.embed.audio_input import Source, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.protocol import ONNX, FloatArray, ModelArtifact
from rtfbench.explain.divergence import NOTHING_RIGHT, Seen, compare
from rtfbench.explain.part_run import PartAnswer, PartRequest, run_part
from rtfbench.explain.parts import Array, SourceGraph, compute
from rtfbench.explain.subject import Subject, artifact_of, chosen_speech, subject_of, usable
from rtfbench.measure.plan import load_plan, resolve_plan
from rtfbench.models import onnx_graph
from rtfbench.models.probe import probe
from rtfbench.models.workload import Prepared, prepare
from rtfbench.results.cells import Cell

Say = Callable[[str], None]
Libraries = Mapping[str, Path | None]
#: References are computed for so many tensors at a time: all of a large model fill the memory.
AT_ONCE = 64


@dataclass(frozen=True)
class Suspect:
    """A cell that may be wrong, of the model `title`.

    `artifact` is the file that the engine reads, `graph` the one that it was made from, and
    `features_BTM` one chunk of speech.
    """

    cell: Cell
    artifact: ModelArtifact
    graph: SourceGraph
    features_BTM: FloatArray
    title: str
    #: Of the engine's runtime; why that cannot be used, empty where it can.
    version: str = ""
    unavailable: str = ""
    #: Whether the file was converted by someone else, from a graph that may be another one.
    made_elsewhere: bool = False

    def references(self, names: Sequence[str]) -> dict[str, Array]:
        """Return what onnxruntime computes for tensors of the graph."""
        feeds = {self.graph.input_name: self.features_BTM}
        found: dict[str, Array] = {name: feeds[name] for name in names if name in feeds}
        wanted = [name for name in names if name not in feeds]
        for first in range(0, len(wanted), AT_ONCE):
            found |= compute(self.graph.part(wanted[first : first + AT_ONCE]), feeds)
        return found

    def look(self, tensor: str, part: ModelProto | None) -> Seen:
        """Compare a tensor of the graph with what the engine computes, in a process of its own.

        `part` computes the tensor, and is converted first; None takes the cell's own file.
        """
        (expected,) = self.references([tensor]).values()
        with TemporaryDirectory(dir=process_folder()) as name:
            answer, found = self.run(tensor, part, Path(name))
            if answer.error:
                return Seen(None if answer.stage == "converting" else NOTHING_RIGHT, answer.error)
            return compare(np.load(found, allow_pickle=False), expected)

    def run(
        self, tensor: str, part: ModelProto | None, folder: Path, inner: tuple[str, ...] = ()
    ) -> tuple[PartAnswer, Path]:
        """Run a file on the chunk; return what came of it, and the file that was written."""
        features, found = folder / "features.npy", folder / ("found.npz" if inner else "found.npy")
        np.save(features, self.features_BTM)
        artifact, input_name = self.artifact, self.graph.input_name
        source: Path | None = None
        if part is not None:
            source = folder / f"part.{ONNX}"
            onnx_graph.save_graph(part, source)
            path = source.with_suffix(f".{artifact.format}")
            artifact = replace(artifact, path=path, input_name=input_name, output_name=tensor)
        request = PartRequest(
            cell=self.cell,
            artifact=artifact,
            features=features,
            found=found,
            source=source,
            inner=inner,
        )
        return run_part(request), found


def suspects_of(
    flags: Mapping[str, Any], *, libraries: Libraries, phase: Say, note: Say
) -> list[Suspect]:
    """Return the cells of what was asked for; see `subject_of`.

    With a `reference` among the flags, the model is a file that was converted from that.
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
    found = prepare(resolved, (), cores=core_count(), logs=cache_room("logs"), phase=phase)
    suspects: list[Suspect] = []
    for each in usable(found, model, note):
        fixed = artifact_of(each).num_frames if reference.num_frames is None else None
        graph = _graph(reference.runs, reference.input_name, reference.output_name, fixed)
        suspects.append(_suspect(each, graph, chosen_speech(), made_elsewhere=True))
    return suspects


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
