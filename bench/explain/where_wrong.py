"""Name the operator where a cell's output leaves the reference, and cut a model around it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base.scratch import process_folder
from bench.explain import repro
from bench.explain.alone import Alone
from bench.explain.cuts import Cuts, Suspect
from bench.explain.divergence import Hit, Search, Seen, smallest
from bench.explain.finding import Finding, Operator, Tensor
from bench.explain.parts import SourceGraph
from bench.explain.shown import compare_shown
from bench.results.cells import Cell
from engines import registry
from engines.protocol import FLOAT32

NOT_FROM_ONNX = (
    "{engine} reads files that are made from torch and not from ONNX: no part of the graph can be "
    "converted for it"
)
NOT_FLOAT32 = (
    "in {precision} every operator rounds; only float32 can be searched, choose {engine} without "
    "a precision"
)
SHOWS_NONE = (
    "{engine} shows no inner tensors, and parts of the graph that are converted here tell nothing "
    "of a file that was converted elsewhere; without --reference, name the .onnx file as --model"
)
IN_FILE = (
    "converted anew from the reference, it is right: the file's weights are others, or what "
    "converted it is at fault, and no smaller model shows it"
)
CONVERTED_WRONG = "converted anew from the reference, it is wrong too"
NOT_SAID = "{engine} does not say how a script runs a model, so that it was not tried alone"
NOT_ALONE = (
    "neither alone nor with all before it is it wrong in a script with the runtime's own API"
)
SAME_BY_NAME = "no tensor that the runtime shows by its name is wrong"


class Inspector:
    """Searches one cell after the other."""

    def __init__(self, *, step: Callable[[str], None], save_to: Path | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            step: is told what takes some seconds.
            save_to: a folder that gets one for each cell that is wrong.
        """
        self._step, self._save_to = step, save_to

    def inspect(self, suspect: Suspect) -> Finding:
        """Search one cell."""
        cell = suspect.cell
        found = Finding(engine=cell.engine_label, form=cell.form, version=suspect.version)
        refused = refusal(suspect)
        if refused:
            return _noted(found, refused)
        self._step(f"{cell.engine_label}: comparing the embedding")
        whole = Cuts(suspect, self._step).whole()
        found = found.model_copy(
            update={"error": whole.error, "reason": whole.reason, "wrong": whole.wrong}
        )
        if not whole.wrong:
            return found
        if suspect.made_elsewhere:
            if not Cuts(suspect, self._step).look(suspect.graph.output_name).wrong:
                return self._in_file(found, suspect)
            found = _noted(found, CONVERTED_WRONG)
        return self._by_cuts(found, suspect, whole)

    def _by_cuts(self, found: Finding, suspect: Suspect, whole: Seen) -> Finding:
        """Search among parts of the graph, each converted alone."""
        graph = suspect.graph
        cuts = Cuts(suspect, self._step)
        search = Search(graph.tensors, graph.sources, cuts.look)
        search.seen[graph.output_name] = whole
        hit = search.run()
        found = _told(found, suspect, hit, len(search.seen))
        return self._alone(found, suspect, hit)

    def _in_file(self, found: Finding, suspect: Suspect) -> Finding:
        """Compare what the user's file and one that is right compute on the way."""
        self._step(f"{suspect.cell.engine_label}: comparing inner tensors")
        known = compare_shown(suspect)
        if known is None:
            return _noted(found, SHOWS_NONE.format(engine=suspect.cell.engine))
        graph = suspect.graph
        first = next((n for n in graph.tensors if n in known and known[n].wrong), None)
        if first is None:
            return _noted(found, SAME_BY_NAME)
        lost = set(graph.tensors).difference(known)
        hit = Hit(first, known[first], graph.sources(first, lost))
        return _noted(_told(found, suspect, hit, len(known)), IN_FILE)

    def _alone(self, found: Finding, suspect: Suspect, hit: Hit) -> Finding:
        """Run the operator alone on right inputs, then with more and more of what is before it."""
        alone = Alone(suspect)
        if not alone.possible:
            return _noted(found, NOT_SAID.format(engine=suspect.cell.engine))
        graph = suspect.graph
        levels = [hit.given]
        while set(levels[-1]) != {graph.input_name}:
            levels.append(_wider(graph, levels[-1]))
        with TemporaryDirectory(dir=process_folder()) as name:
            folders = [Path(name) / str(level) for level in range(len(levels))]
            tried: dict[int, Seen] = {}

            def is_wrong(level: int) -> bool:
                count = len(graph.operators(hit.tensor, levels[level]))
                self._step(f"{suspect.cell.engine_label}: running {count} operators alone")
                folders[level].mkdir()
                tried[level] = alone.save(hit, levels[level], folders[level])
                return tried[level].wrong

            level = smallest(len(levels), is_wrong)
            if level is None:
                return _noted(found, tried[0].reason or NOT_ALONE)
            operators = graph.operators(hit.tensor, levels[level])
            update = {
                "needed": len(operators),
                "alone_error": tried[0].error,
                "alone_reason": tried[0].reason,
                "saved": self._keep(folders[level], suspect.cell),
            }
            return found.model_copy(update=update)

    def _keep(self, folder: Path, cell: Cell) -> str:
        if self._save_to is None:
            return ""
        target = self._save_to / file_name(cell)
        target.mkdir(parents=True, exist_ok=True)
        for name in repro.FILES:
            shutil.copyfile(folder / name, target / name)
        return str(target)


def refusal(suspect: Suspect) -> str:
    """Say why a cell cannot be searched, empty where it can."""
    cell = suspect.cell
    engine = registry.on(cell.engine, cell.settings)
    if not engine.computes:
        return f"{cell.engine} computes nothing"
    if not engine.from_onnx:
        return NOT_FROM_ONNX.format(engine=cell.engine)
    if cell.precision != FLOAT32:
        return NOT_FLOAT32.format(engine=cell.engine, precision=cell.precision)
    if suspect.unavailable:
        return suspect.unavailable
    support = engine.supports(suspect.artifact, suspect.options)
    return "" if support.ok else support.reason


def file_name(cell: Cell) -> str:
    """Return a name for files of a cell."""
    label = "".join(c if c.isalnum() or c in "-." else "_" for c in cell.engine_label)
    return f"{label.strip('_')}-{cell.form}"


def _wider(graph: SourceGraph, given: Sequence[str]) -> tuple[str, ...]:
    """Return what all that is given is computed from; the input stays."""
    found: dict[str, None] = {}
    for name in given:
        found |= dict.fromkeys([name] if name == graph.input_name else graph.sources(name))
    return tuple(found)


def _told(found: Finding, suspect: Suspect, hit: Hit, looked_at: int) -> Finding:
    """Return a finding with the operator, and the shapes around it."""
    graph = suspect.graph
    values = suspect.references([*hit.given, hit.tensor])
    named = [Tensor(name=name, shape=values[name].shape) for name in hit.given]
    update = {
        "tensor": Tensor(name=hit.tensor, shape=values[hit.tensor].shape),
        "tensor_error": hit.seen.error,
        "tensor_reason": hit.seen.reason,
        "operators": tuple(
            Operator(kind=node.op_type, name=node.name, weights=graph.weights(node))
            for node in graph.operators(hit.tensor, hit.given)
        ),
        "given": tuple(named),
        "looked_at": looked_at,
        "tensors": len(graph.tensors),
    }
    return found.model_copy(update=update)


def _noted(found: Finding, note: str) -> Finding:
    return found.model_copy(update={"note": "; ".join(filter(None, [found.note, note]))})
