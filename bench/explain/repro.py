"""The smallest model that shows a wrong output, as files that need the runtime and numpy alone."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from rtfbench.base.child import last_said
from rtfbench.engines import processes
from rtfbench.explain.divergence import NOT_FINITE, NOTHING_RIGHT, Seen, other_shape
from rtfbench.explain.parts import Array
from rtfbench.models.onnx_graph import save_graph
from rtfbench.results.cells import MAX_REL_ERR

FILES = MODEL, EXAMPLE, SCRIPT = "operator.onnx", "example.npz", "reproduce.py"
TIMEOUT_S = 300.0
#: What the script prints.
SHAPES = re.compile(r"^shape (\[.*\]), expected (\[.*\])$", re.MULTILINE)
SAID = re.compile(r"^largest error (\S+) of the largest value$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A model, an input for it, and what it has to compute."""

    model: ModelProto
    inputs: Mapping[str, Array]
    expected: Array


def write_example(folder: Path, example: Example, *, told: str, lines: str) -> None:
    """Write a model, its example and a script to a folder.

    `told` says what the script shows, and how it is run; `lines` are what it does with `inputs`, of
    which `expected` has to come.
    """
    save_graph(example.model, folder / MODEL)
    names = list(example.inputs)
    arrays: dict[str, Any] = {f"input_{i}": example.inputs[name] for i, name in enumerate(names)}
    np.savez(folder / EXAMPLE, output=example.expected, **arrays)
    fed = ", ".join(f'{name!r}: data["input_{i}"]' for i, name in enumerate(names))
    script = f'''\
"""{told}
"""

import numpy as np

data = np.load("{EXAMPLE}")
inputs = {{{fed}}}
expected = data["output"]

{lines}'''
    (folder / SCRIPT).write_text(script, encoding="utf-8")


def write(folder: Path, example: Example, *, runtime: str, packages: str, lines: str) -> None:
    """Write a model, its example and a script that compares.

    `runtime` is a name and version, `packages` what pip has to install. The `lines` convert and
    open `MODEL`, and run `inputs`; see `EngineBase.run_in_python`.
    """
    told = f"""\
{runtime}: {MODEL} gives another output than onnxruntime gives without optimisations.

    pip install {packages}
    python {SCRIPT}

Exit status 1 where an error is over {MAX_REL_ERR:g} of the largest value in {EXAMPLE}."""
    compared = f"""{lines}
print(f"shape {{list(found.shape)}}, expected {{list(expected.shape)}}")
error = np.inf
if found.size == expected.size:
    error = np.abs(found.ravel() - expected.ravel()).max() / np.abs(expected).max()
print(f"largest error {{error:.3g}} of the largest value")
raise SystemExit(int(not error <= {MAX_REL_ERR:g}))
"""
    write_example(folder, example, told=told, lines=compared)


def run(folder: Path) -> Seen:
    """Run the script in its folder; a crash is wrong, and a failed conversion tells nothing."""
    try:
        done = processes.run([sys.executable, SCRIPT], timeout_s=TIMEOUT_S, folder=folder)
    except subprocess.TimeoutExpired:
        return Seen(NOTHING_RIGHT, f"no end within {TIMEOUT_S:g} s")
    said = done.stdout.decode(errors="replace")
    told = SAID.search(said)
    if told is not None:
        error = float(told[1])
        if np.isfinite(error):
            return Seen(min(error, NOTHING_RIGHT))
        found, expected = map(json.loads, SHAPES.findall(said)[-1])
        same = math.prod(found) == math.prod(expected)
        return Seen(NOTHING_RIGHT, NOT_FINITE if same else other_shape(found, expected))
    if done.returncode < 0:
        return Seen(NOTHING_RIGHT, "the process crashed")
    return Seen(None, last_said(done.stderr.decode(errors="replace")))
