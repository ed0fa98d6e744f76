"""Compare tensors of a graph with what an engine computes of parts of it, cut at each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnx import ModelProto

from rtfbench.base.scratch import process_folder
from rtfbench.engines.protocol import ONNX, FloatArray, ModelArtifact
from rtfbench.explain.divergence import NOTHING_RIGHT, Seen, compare
from rtfbench.explain.part_run import PartAnswer, PartRequest, run_part
from rtfbench.explain.parts import Array, SourceGraph, compute
from rtfbench.models.onnx_graph import save_graph
from rtfbench.results.cells import Cell

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


class Cuts:
    """Looks at tensors of a suspect, one conversion and one process each."""

    def __init__(self, suspect: Suspect, step: Callable[[str], None]) -> None:
        self._suspect, self._step = suspect, step

    def whole(self) -> Seen:
        """Compare the embedding that the cell's own file gives."""
        suspect = self._suspect
        (expected,) = suspect.references([suspect.graph.output_name]).values()
        with TemporaryDirectory(dir=process_folder()) as folder:
            return self._compare(suspect.artifact, None, expected, Path(folder))

    def look(self, tensor: str) -> Seen:
        """Compare a tensor with what the engine computes of the part of the graph before it."""
        suspect = self._suspect
        self._step(f"{suspect.cell.engine_label}: converting up to {tensor}")
        part = suspect.graph.part([tensor])
        expected = compute(part, {suspect.graph.input_name: suspect.features_BTM})[tensor]
        with TemporaryDirectory(dir=process_folder()) as name:
            folder = Path(name)
            artifact, source = to_convert(suspect, part, tensor, folder)
            return self._compare(artifact, source, expected, folder)

    def _compare(
        self, artifact: ModelArtifact, source: Path | None, expected: Array, folder: Path
    ) -> Seen:
        answer, found = run_on(self._suspect, artifact, source, folder)
        if answer.error:
            return Seen(None if answer.stage == "converting" else NOTHING_RIGHT, answer.error)
        return compare(np.load(found, allow_pickle=False), expected)


def run_on(
    suspect: Suspect,
    artifact: ModelArtifact,
    source: Path | None,
    folder: Path,
    inner: tuple[str, ...] = (),
) -> tuple[PartAnswer, Path]:
    """Run a file on a suspect's chunk; return what came of it, and the file that was written."""
    features, found = folder / "features.npy", folder / ("found.npz" if inner else "found.npy")
    np.save(features, suspect.features_BTM)
    request = PartRequest(
        cell=suspect.cell,
        artifact=artifact,
        features=features,
        found=found,
        source=source,
        inner=inner,
    )
    return run_part(request), found


def to_convert(
    suspect: Suspect, part: ModelProto, tensor: str, folder: Path
) -> tuple[ModelArtifact, Path]:
    """Return what the engine reads of a part of the graph, and what that is made from."""
    source = folder / f"part.{ONNX}"
    save_graph(part, source)
    path = source.with_suffix(f".{suspect.artifact.format}")
    file = replace(suspect.artifact, path=path, input_name=suspect.graph.input_name)
    return replace(file, output_name=tensor), source
