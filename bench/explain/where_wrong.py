"""Name the operator where a cell's output leaves the reference, and cut a model around it."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.engines import registry
from rtfbench.engines.protocol import FLOAT32, ONNX
from rtfbench.explain import repro
from rtfbench.explain.divergence import Hit, Search, Seen, compare, smallest
from rtfbench.explain.finding import CellFinding, Findings, Operator, Tensor
from rtfbench.explain.parts import Array, Shape, SourceGraph
from rtfbench.explain.repro import Example
from rtfbench.explain.suspects import Suspect
from rtfbench.measure.machine.environment import describe_host
from rtfbench.models.onnx_graph import inputs


def compare_shown(suspect: Suspect) -> dict[str, Seen] | None:
    """Compare the inner tensors of a file that was converted elsewhere.

    A runtime may call by the name of one tensor what is another: what it has fused bears the name
    of the first and is the last. What each is, a file that is made of the graph now tells.

    Returns:
        What was compared, by its name in the graph; None where the runtime shows nothing.
    """
    shown, right = _shown(suspect, anew=False), _shown(suspect, anew=True)
    if shown is None or right is None:
        return None
    graph = suspect.graph
    wanted = {each for name in right for each in graph.followers(name)}
    expected = suspect.references([name for name in graph.tensors if name in wanted])
    found: dict[str, Seen] = {}
    for name in right.keys() & shown.keys():
        seen = {each: compare(right[name], expected[each]) for each in graph.followers(name)}
        meant = min(seen, key=lambda each: seen[each].error or 0.0)
        if not seen[meant].wrong:
            found[meant] = compare(shown[name], expected[meant])
    return found


def _shown(suspect: Suspect, *, anew: bool) -> dict[str, Array] | None:
    """Run a file, or one that is made of the graph now, and return its inner tensors."""
    graph = suspect.graph
    with TemporaryDirectory(dir=process_folder()) as name:
        part = graph.model if anew else None
        answer, found = suspect.run(graph.output_name, part, Path(name), graph.tensors)
        if answer.error or not answer.shows:
            return None
        with np.load(found, allow_pickle=False) as stored:
            return {str(each): stored[f"arr_{i}"] for i, each in enumerate(stored["names"])}


#: A second input is longer by so many frames: what its sizes change is open in a dynamic model.
FRAMES_MORE = 37


def _pinned(package: str) -> str:
    """Return what pip has to install of a converter; nothing where it is not here."""
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return ""


class Alone:
    """Runs what computes a tensor from right values of others.

    `lines` convert, open and run its model in a script; `possible` says whether the engine has all
    that are needed. `package` is what pip has to install.
    """

    def __init__(self, suspect: Suspect) -> None:
        self._suspect = suspect
        engine = registry.on(suspect.cell.engine, suspect.cell.settings)
        file = Path(repro.MODEL).with_suffix(f".{engine.format}")
        opened = engine.in_python(replace(suspect.artifact, path=file), suspect.cell.options)
        static = suspect.artifact.form == "static"
        converted = engine.convert_in_python(repro.MODEL, str(file), static=static)
        self.lines = (converted, opened, engine.run_in_python)
        self.possible = all(self.lines if engine.format != ONNX else self.lines[1:])
        self.package = engine.distribution or suspect.cell.engine
        self._runtime = f"{self.package} {suspect.version}"
        also = filter(None, map(_pinned, engine.converters if converted else ()))
        self._packages = " ".join(["numpy", f"{self.package}=={suspect.version}", *also])

    def save(self, hit: Hit, given: Sequence[str], folder: Path) -> Seen:
        """Write what computes a tensor from others to a folder, and run it there."""
        example = self.example(hit.tensor, given)
        repro.write(
            folder,
            example,
            runtime=self._runtime,
            packages=self._packages,
            lines="".join(self.lines),
        )
        return repro.run(folder)

    def example(self, tensor: str, given: Sequence[str]) -> Example:
        """Return what computes a tensor from others, with values for it."""
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
        try:
            others = replace(suspect, features_BTM=other_BTM).references(names)
        except InputError:  # the model's input is less free than it says
            return shapes
        return {
            name: tuple(
                size if size == other else f"{name}_{axis}"
                for axis, (size, other) in enumerate(
                    zip(values[name].shape, others[name].shape, strict=True)
                )
            )
            for name in names
        }


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


def search(
    suspects: Sequence[Suspect], *, progress: Progress, save_to: Path | None = None
) -> Findings:
    """Search the cells of one model; after an interruption there are as many as were searched.

    `save_to` gets a folder for each cell that is wrong, with a model that shows it.
    """
    findings: list[CellFinding] = []
    began_s = time.monotonic()
    try:
        for suspect in suspects:
            findings.append(Inspection(suspect, progress.phase, save_to).finding())
            each_s = (time.monotonic() - began_s) / len(findings)
            progress.left((len(suspects) - len(findings)) * each_s)
    except KeyboardInterrupt:
        if not findings:
            raise
    first = suspects[0]
    host = describe_host()
    return Findings(
        model=first.title,
        num_frames=first.features_BTM.shape[1],
        threads=first.cell.threads,
        cpu=host.cpu_kind,
        rtfbench=host.rtfbench,
        cells=tuple(findings),
    )


class Inspection:
    """The search of one cell; `step` is told what takes some seconds."""

    def __init__(self, suspect: Suspect, step: Callable[[str], None], save_to: Path | None) -> None:
        self._suspect, self._graph, self._save_to = suspect, suspect.graph, save_to
        self._tell_step = step
        #: Fields of the finding, and what is noted.
        self._found: dict[str, Any] = {}
        self._notes: list[str] = []

    def finding(self) -> CellFinding:
        """Search, and return what was found."""
        self._search()
        suspect, note = self._suspect, "; ".join(self._notes)
        engine, form = suspect.cell.engine_label, suspect.cell.form
        return CellFinding(
            engine=engine, form=form, version=suspect.version, note=note, **self._found
        )

    def _search(self) -> None:
        suspect, graph = self._suspect, self._graph
        if refused := refusal(suspect):
            self._notes.append(refused)
            return
        self._step("comparing the embedding")
        whole = suspect.look(graph.output_name, None)
        self._found = {"error": whole.error, "reason": whole.reason, "wrong": whole.wrong}
        if not whole.wrong:
            return
        if suspect.made_elsewhere:
            if not self._look(graph.output_name).wrong:
                self._search_file()
                return
            self._notes.append(CONVERTED_WRONG)
        # Among parts of the graph, each converted alone.
        search = Search(graph.tensors, graph.sources, self._look)
        search.seen[graph.output_name] = whole
        hit = search.run()
        self._tell(hit, len(search.seen))
        self._run_alone(hit)

    def _step(self, text: str) -> None:
        self._tell_step(f"{self._suspect.cell.engine_label}: {text}")

    def _look(self, tensor: str) -> Seen:
        self._step(f"converting up to {tensor}")
        return self._suspect.look(tensor, self._graph.part([tensor]))

    def _search_file(self) -> None:
        """Compare what the user's file and one that is right compute on the way."""
        self._step("comparing inner tensors")
        graph, known = self._graph, compare_shown(self._suspect)
        if known is None:
            self._notes.append(SHOWS_NONE.format(engine=self._suspect.cell.engine))
            return
        first = next((n for n in graph.tensors if n in known and known[n].wrong), None)
        if first is None:
            self._notes.append(SAME_BY_NAME)
            return
        lost = set(graph.tensors).difference(known)
        self._tell(Hit(first, known[first], graph.sources(first, lost)), len(known))
        self._notes.append(IN_FILE)

    def _tell(self, hit: Hit, looked_at: int) -> None:
        """Keep the operator, and the shapes around it."""
        graph = self._graph
        values = self._suspect.references([*hit.given, hit.tensor])
        self._found |= {
            "tensor": Tensor(name=hit.tensor, shape=values[hit.tensor].shape),
            "tensor_error": hit.seen.error,
            "tensor_reason": hit.seen.reason,
            "operators": tuple(
                Operator(kind=node.op_type, name=node.name, weights=graph.weights(node))
                for node in graph.operators(hit.tensor, hit.given)
            ),
            "given": tuple(Tensor(name=name, shape=values[name].shape) for name in hit.given),
            "looked_at": looked_at,
            "tensors": len(graph.tensors),
        }

    def _run_alone(self, hit: Hit) -> None:
        """Run the operator alone on right inputs, then with more and more of what is before it."""
        alone, graph = Alone(self._suspect), self._graph
        if not alone.possible:
            self._notes.append(NOT_SAID.format(engine=self._suspect.cell.engine))
            return
        levels = growing(graph, hit.given)
        counts = [len(graph.operators(hit.tensor, given)) for given in levels]
        with TemporaryDirectory(dir=process_folder()) as name:
            folders = [Path(name) / str(level) for level in range(len(levels))]
            tried: dict[int, Seen] = {}

            def is_wrong(level: int) -> bool:
                self._step(f"running {counts[level]} operators alone")
                folders[level].mkdir()
                tried[level] = alone.save(hit, levels[level], folders[level])
                return tried[level].wrong

            level = smallest(len(levels), is_wrong)
            if level is None:
                self._notes.append(tried[0].reason or NOT_ALONE)
                return
            self._found |= {
                "needed": counts[level],
                "alone_error": tried[0].error,
                "alone_reason": tried[0].reason,
                "saved": self._keep(folders[level]),
            }

    def _keep(self, folder: Path) -> str:
        """Copy a model that is wrong to where it is wanted; return the folder, empty of none."""
        if self._save_to is None:
            return ""
        cell = self._suspect.cell
        label = "".join(c if c.isalnum() or c in "-." else "_" for c in cell.engine_label)
        target = self._save_to / f"{label.strip('_')}-{cell.form}"
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
    if engine.front_end:
        return f"{cell.engine} brings its own front end, and is given no features"
    if not engine.from_onnx:
        return NOT_FROM_ONNX.format(engine=cell.engine)
    if cell.precision != FLOAT32:
        return NOT_FLOAT32.format(engine=cell.engine, precision=cell.precision)
    if suspect.unavailable:
        return suspect.unavailable
    support = engine.supports(suspect.artifact, suspect.cell.options)
    return "" if support.ok else support.reason


def growing(graph: SourceGraph, given: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what is given, then what that is computed from, and so on to the input."""
    found = [tuple(given)]
    while set(found[-1]) != {graph.input_name}:
        before = ([name] if name == graph.input_name else graph.sources(name) for name in found[-1])
        found.append(tuple(dict.fromkeys(chain.from_iterable(before))))
    return found
