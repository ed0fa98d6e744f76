"""Compare tensors of a graph with what an engine computes of parts of it, cut at each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnx import ModelProto

from bench.explain import repro
from bench.explain.divergence import NOTHING_RIGHT, Hit, Seen, compare
from bench.explain.part_run import PartRequest, run_part
from bench.explain.parts import Array, Shape, SourceGraph, compute
from bench.explain.repro import Example
from bench.models.onnx_graph import inputs, save_graph
from bench.results.cells import Cell
from engines import registry
from engines.protocol import ONNX, FloatArray, ModelArtifact, SessionOptions

#: A second input is longer by so many frames: what its sizes change is open in a dynamic model.
FRAMES_MORE = 37
#: References are computed for so many tensors at a time: all of a large model fill the memory.
AT_ONCE = 64


@dataclass(frozen=True)
class Suspect:
    """A cell that may be wrong.

    `artifact` is the file that the engine reads, `graph` the one that it was made from, and
    `features_BTM` one chunk of speech.
    """

    cell: Cell
    artifact: ModelArtifact
    graph: SourceGraph
    features_BTM: FloatArray
    #: Of the engine's runtime.
    version: str = ""
    #: Whether the file was converted by someone else, from a graph that may be another one.
    made_elsewhere: bool = False

    @property
    def options(self) -> SessionOptions:
        """How its sessions are opened."""
        return SessionOptions(self.cell.threads, self.cell.settings, self.cell.precision)

    def references(self, names: Sequence[str]) -> dict[str, Array]:
        """Return what onnxruntime computes for tensors of the graph."""
        feeds = {self.graph.input_name: self.features_BTM}
        found: dict[str, Array] = {name: feeds[name] for name in names if name in feeds}
        wanted = [name for name in names if name not in feeds]
        for first in range(0, len(wanted), AT_ONCE):
            found |= compute(self.graph.part(wanted[first : first + AT_ONCE]), feeds)
        return found


class Cuts:
    """Looks at tensors of a suspect, one conversion and one process each."""

    def __init__(self, suspect: Suspect, step: Callable[[str], None]) -> None:
        self._suspect, self._step = suspect, step

    def whole(self) -> Seen:
        """Compare the embedding that the cell's own file gives."""
        suspect = self._suspect
        (expected,) = suspect.references([suspect.graph.output_name]).values()
        with TemporaryDirectory(prefix="rtfbench-") as folder:
            return self._compare(suspect.artifact, None, expected, Path(folder))

    def look(self, tensor: str) -> Seen:
        """Compare a tensor with what the engine computes of the part of the graph before it."""
        suspect = self._suspect
        self._step(f"{suspect.cell.engine_label}: converting up to {tensor}")
        part = suspect.graph.part([tensor])
        expected = compute(part, {suspect.graph.input_name: suspect.features_BTM})[tensor]
        with TemporaryDirectory(prefix="rtfbench-") as name:
            folder = Path(name)
            artifact, source = _to_convert(suspect, part, tensor, folder)
            return self._compare(artifact, source, expected, folder)

    def _compare(
        self, artifact: ModelArtifact, source: Path | None, expected: Array, folder: Path
    ) -> Seen:
        features, found = folder / "features.npy", folder / "found.npy"
        np.save(features, self._suspect.features_BTM)
        answer = run_part(
            PartRequest(
                cell=self._suspect.cell,
                artifact=artifact,
                features=features,
                found=found,
                source=source,
            )
        )
        if answer.error:
            return Seen(None if answer.stage == "converting" else NOTHING_RIGHT, answer.error)
        return compare(np.load(found, allow_pickle=False), expected)


def _to_convert(
    suspect: Suspect, part: ModelProto, tensor: str, folder: Path
) -> tuple[ModelArtifact, Path]:
    """Return what the engine reads of a part of the graph, and what that is made from."""
    source = folder / f"part.{ONNX}"
    save_graph(part, source)
    path = source.with_suffix(f".{suspect.artifact.format}")
    file = replace(suspect.artifact, path=path, input_name=suspect.graph.input_name)
    return replace(file, output_name=tensor), source


def inner_tensors(suspect: Suspect, *, anew: bool) -> dict[str, Seen] | None:
    """Compare what a file's own run computes on the way; None where the runtime does not show it.

    What a runtime has fused bears the name of the first tensor and is the last one: the nearest
    of those that follow a tensor counts.

    Args:
        suspect: whose file is run.
        anew: run one that is made of the graph now, in its place.
    """
    graph = suspect.graph
    with TemporaryDirectory(prefix="rtfbench-") as name:
        folder = Path(name)
        features, found = folder / "features.npy", folder / "found.npz"
        np.save(features, suspect.features_BTM)
        artifact, source = suspect.artifact, None
        if anew:
            artifact, source = _to_convert(suspect, graph.model, graph.output_name, folder)
        answer = run_part(
            PartRequest(
                cell=suspect.cell,
                artifact=artifact,
                features=features,
                found=found,
                source=source,
                inner=graph.tensors,
            )
        )
        if answer.error or not answer.shows:
            return None
        with np.load(found, allow_pickle=False) as stored:
            shown = {str(each): stored[f"arr_{i}"] for i, each in enumerate(stored["names"])}
    wanted = {each for name in shown for each in graph.followers(name)}
    expected = suspect.references([name for name in graph.tensors if name in wanted])
    return {
        name: min(
            (compare(value, expected[each]) for each in graph.followers(name)),
            key=lambda seen: seen.error or 0.0,
        )
        for name, value in shown.items()
    }


class Alone:
    """Runs operators alone, by the script that is handed to whoever keeps the runtime."""

    def __init__(self, suspect: Suspect) -> None:
        self._suspect = suspect
        engine = registry.on(suspect.cell.engine, suspect.cell.settings)
        static = suspect.artifact.form == "static"
        self._lines = engine.run_in_python(repro.MODEL, suspect.options, static=static)
        package = engine.distribution or suspect.cell.engine
        self._runtime = f"{package} {suspect.version}"
        self._packages = f"numpy {package}=={suspect.version}"

    @property
    def possible(self) -> bool:
        """Whether the engine says how a script runs a model."""
        return bool(self._lines)

    def save(self, hit: Hit, given: Sequence[str], folder: Path) -> Seen:
        """Write what computes a tensor from others to a folder, and run it there."""
        example = self._example(hit.tensor, given)
        repro.write(
            folder,
            example,
            runtime=self._runtime,
            packages=self._packages,
            lines=self._lines,
        )
        return repro.run(folder)

    def _example(self, tensor: str, given: Sequence[str]) -> Example:
        suspect = self._suspect
        inner = [name for name in given if name != suspect.graph.input_name]
        values = suspect.references([*inner, tensor])
        part = suspect.graph.part([tensor], self._shapes(inner, values))
        feeds = {suspect.graph.input_name: suspect.features_BTM, **values}
        return Example(part, {port.name: feeds[port.name] for port in inputs(part)}, values[tensor])

    def _shapes(self, names: Sequence[str], values: Mapping[str, Array]) -> dict[str, Shape]:
        """Return the tensors' shapes; sizes that follow those of the input are open."""
        shapes: dict[str, Shape] = {name: values[name].shape for name in names}
        suspect = self._suspect
        if suspect.artifact.form == "static" or not names:
            return shapes
        (port,) = inputs(suspect.graph.model)
        batch = 1 if port.shape and port.shape[0] else 2
        more = ((0, batch - 1), (0, FRAMES_MORE), (0, 0))
        other_BTM = np.pad(suspect.features_BTM, more, mode="wrap")
        others = replace(suspect, features_BTM=other_BTM).references(names)
        return {
            name: tuple(
                size if size == other else f"{name}_{axis}"
                for axis, (size, other) in enumerate(
                    zip(values[name].shape, others[name].shape, strict=True)
                )
            )
            for name in names
        }
