"""Operators alone, run by the script that is handed to whoever keeps the runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.base.errors import InputError
from bench.explain import repro
from bench.explain.cuts import Suspect
from bench.explain.divergence import Hit, Seen
from bench.explain.parts import Array, Shape
from bench.explain.repro import Example
from bench.models.onnx_graph import inputs
from engines import registry
from engines.protocol import ONNX

#: A second input is longer by so many frames: what its sizes change is open in a dynamic model.
FRAMES_MORE = 37


class Alone:
    """Runs what computes a tensor from right values of others."""

    def __init__(self, suspect: Suspect) -> None:
        self._suspect = suspect
        engine = registry.on(suspect.cell.engine, suspect.cell.settings)
        file = Path(repro.MODEL).with_suffix(f".{engine.format}")
        opened = engine.in_python(replace(suspect.artifact, path=file), suspect.options)
        static = suspect.artifact.form == "static"
        converted = engine.convert_in_python(repro.MODEL, str(file), static=static)
        parts = (converted, opened, engine.run_in_python)
        needed = parts if engine.format != ONNX else parts[1:]
        self._lines = "".join(parts) if all(needed) else ""
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
