"""Two versions of an engine: where the newer is slower, and the smallest model that shows it."""

import os
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Any, NamedTuple

from rtfbench.base.child import SINGLE_THREADED
from rtfbench.base.packages import PYTHONPATH
from rtfbench.base.scratch import process_folder
from rtfbench.engines import processes
from rtfbench.explain import repro
from rtfbench.explain.divergence import smallest
from rtfbench.explain.parts import SourceGraph
from rtfbench.explain.subject import RuntimeVersion, Subject, subject_of
from rtfbench.explain.suspects import suspects_in
from rtfbench.explain.where_wrong import Alone, growing
from rtfbench.results.explanation import EngineCost, Explanation

#: The script's time in both versions, in turns, so many times.
ROUNDS, LIMIT_S = 5, 300.0
MEDIAN = re.compile(r"^median (\S+) ms a run$", re.MULTILINE)
TIMED = """
import time


def once():
    began = time.perf_counter()
{run}
    return time.perf_counter() - began


for _ in range(10):
    once()
print(f"median {{np.median([once() for _ in range(50)]) * 1e3:.4f}} ms a run")
"""
TOLD = """\
{newer}: {model} takes longer than in {older}, {ms[1]:.3g} ms a run against {ms[0]:.3g} on {cpu}.

    pip install numpy {older} && python {script}
    pip install numpy {newer} && python {script}"""


class Slower(NamedTuple):
    """Nodes of the graph that take longer in the second version, in milliseconds a run."""

    nodes: frozenset[str]
    older_ms: float
    newer_ms: float


class Saved(NamedTuple):
    """The smallest model that takes longer: its operators, and milliseconds in each version."""

    operators: int
    older_ms: float
    newer_ms: float


def subject_of_versions(
    flags: Mapping[str, Any],
    versions: tuple[RuntimeVersion, RuntimeVersion],
    *,
    phase: Callable[[str], None],
) -> Subject:
    """Return one engine in two versions, the older one first; see `subject_of`."""
    found = subject_of(flags, phase=phase, note=phase)
    return replace(found, cells=found.cells * len(versions), versions=versions)


def slowest(found: Explanation) -> Slower | None:
    """Return what takes the most longer; None where nothing does, or operators are not told.

    Versions fuse operators in their own ways: nodes that either computes together stay together.
    """
    older, newer = found.engines
    parts = _joined(
        frozenset(each.nodes) for engine in found.engines for each in engine.operators if each.nodes
    )
    both = [Slower(part, _ms(older, part), _ms(newer, part)) for part in parts]
    worst = max(both, key=lambda each: each.newer_ms - each.older_ms, default=None)
    return worst if worst and worst.newer_ms > worst.older_ms else None


def _joined(parts: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    found: list[frozenset[str]] = []
    for part in parts:
        apart = [each for each in found if not each & part]
        found = [*apart, part.union(*(each for each in found if each & part))]
    return found


def _ms(engine: EngineCost, nodes: frozenset[str]) -> float:
    return sum(each.ms for each in engine.operators if nodes.intersection(each.nodes))


def save_slower(
    subject: Subject,
    slower: Slower | None,
    folder: Path,
    *,
    share: float,
    cpu: str,
    step: Callable[[str], None],
) -> Saved | str:
    """Write the smallest model that takes longer in the newer version, with a script that times it.

    It begins with what is `slower`, or with the whole model where no operators are told; what is
    before it is added until it takes longer by `share`. A reader is told the host's `cpu`.

    Returns:
        What was written, or why nothing was.
    """
    suspect = suspects_in(subject)[0]
    alone, graph = Alone(suspect), suspect.graph
    if not alone.possible:
        return f"{suspect.cell.engine} does not say how a script runs a model"
    tensor, given = _cut(graph, slower.nodes if slower else frozenset())
    levels = growing(graph, given)
    package = alone.package
    older, newer = (f"{package}=={each.name.rpartition('@')[2]}" for each in subject.versions)
    convert, opened, run = alone.lines
    lines = convert + opened + TIMED.format(run=indent(run, "    ").rstrip())
    with TemporaryDirectory(dir=process_folder()) as scratch:
        tried: dict[int, tuple[float, float]] = {}

        def shows(level: int) -> bool:
            count = len(graph.operators(tensor, levels[level]))
            step(f"timing {count} operators alone in both versions")
            place = Path(scratch) / str(level)
            place.mkdir()
            example = alone.example(tensor, levels[level])
            repro.write_example(place, example, told="", lines=lines)
            tried[level] = _times(place, subject.versions)
            return tried[level][1] > (1 + share) * tried[level][0]

        level = smallest(len(levels), shows)
        if level is None:
            return "in a script with the runtime's own API the difference does not show"
    folder.mkdir(parents=True, exist_ok=True)
    told = TOLD.format(
        older=older, newer=newer, model=repro.MODEL, script=repro.SCRIPT, ms=tried[level], cpu=cpu
    )
    repro.write_example(folder, alone.example(tensor, levels[level]), told=told, lines=lines)
    return Saved(len(graph.operators(tensor, levels[level])), *tried[level])


def _cut(graph: SourceGraph, nodes: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """Return the last tensor that nodes compute, and what they compute it from.

    Of nodes whose tensors a graph cannot be cut at, it is the whole graph.
    """
    made = [name for name in graph.tensors if graph.maker(name).name in nodes]
    if not made:
        return graph.output_name, (graph.input_name,)
    given: dict[str, None] = {}
    for name in made:
        given |= dict.fromkeys(each for each in graph.sources(name) if each not in made)
    return made[-1], tuple(given)


def _times(folder: Path, versions: Iterable[RuntimeVersion]) -> tuple[float, float]:
    """Return the script's milliseconds in each version, medians of rounds in turns."""
    env = {name: value for name, value in os.environ.items() if name != PYTHONPATH}
    env |= SINGLE_THREADED
    sides = list(versions)
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for took_ms, each in zip(found, sides, strict=True):
            command = [str(each.python.python), repro.SCRIPT]
            try:
                done = processes.run(command, timeout_s=LIMIT_S, folder=folder, env=env)
            except subprocess.TimeoutExpired:
                return 0.0, 0.0
            told = MEDIAN.search(done.stdout.decode(errors="replace"))
            if told is None:
                return 0.0, 0.0
            took_ms.append(float(told[1]))
    older, newer = map(statistics.median, found)
    return older, newer
