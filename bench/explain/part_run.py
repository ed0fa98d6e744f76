"""Run a part of a model in an engine, in a process of its own: a crash is a result.

python -m rtfbench.explain.part_run < REQUEST.json
"""

from pathlib import Path

import numpy as np

from rtfbench.base.asking import ask, respond
from rtfbench.base.child import ChildError
from rtfbench.base.values import Value
from rtfbench.engines import registry
from rtfbench.engines.protocol import ONNX, ConversionError, EngineError, ModelArtifact
from rtfbench.models.conversion import convert
from rtfbench.results.cells import Cell

#: Converting the largest models of the catalog takes seconds, and running one chunk less.
TIMEOUT_S = 300.0


class PartRequest(Value):
    """A model file in an engine's format, made from `source` first where there is one.

    `features` is a file of float32 [B, T, M]; what the engine makes of it is written to `found`.
    With `inner`, these tensors of a single run are, as `name` -> array, and nothing else.
    """

    cell: Cell
    artifact: ModelArtifact
    features: Path
    found: Path
    source: Path | None = None
    inner: tuple[str, ...] = ()


class PartAnswer(Value):
    """What came of it: an error, or a file, which has inner tensors only where `shows` says so.

    `stage` is what failed: converting says nothing of the engine.
    """

    error: str = ""
    stage: str = ""
    shows: bool = True


def run_part(request: PartRequest) -> PartAnswer:
    """Run a part; whatever happens to the process is an answer."""
    module = "rtfbench.explain.part_run"
    try:
        return ask(module, request, PartAnswer, timeout_s=TIMEOUT_S, single_threaded=True)
    except ChildError as error:
        return PartAnswer(error=str(error), stage="running")


def _run_here(request: PartRequest) -> PartAnswer:
    artifact, cell = request.artifact, request.cell
    try:
        if request.source is not None and artifact.format != ONNX:
            static = artifact.form == "static"
            convert(request.source, artifact.path, artifact.format, static=static)
    except ConversionError as error:
        return PartAnswer(error=str(error), stage="converting")
    engine = registry.on(cell.engine, cell.settings)
    features_BTM = np.load(request.features, allow_pickle=False)
    try:
        if request.inner:
            shown = engine.inner_tensors(artifact, cell.options, features_BTM, request.inner)
            if shown is None:
                return PartAnswer(shows=False)
            np.savez(request.found, *shown.values(), names=np.array(list(shown)))
            return PartAnswer()
        session = engine.open(artifact, cell.options)
        np.save(request.found, session.run(features_BTM))
        session.close()
    except EngineError as error:
        return PartAnswer(error=str(error), stage="running")
    return PartAnswer()


if __name__ == "__main__":
    respond(PartRequest, _run_here)
