"""What a process of one engine does around its work: options, cores, answers, and its end.

Commands come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`rtfbench.worker`.
"""

import argparse
import statistics
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter

from rtfbench.base.child import answer, die_with_parent
from rtfbench.base.values import Value
from rtfbench.embed.audio_input import Source
from rtfbench.engines import registry
from rtfbench.engines.base import EngineBase
from rtfbench.engines.profiling import OperatorTime, ProfiledRun
from rtfbench.engines.protocol import EngineError, ModelArtifact
from rtfbench.measure.machine import devices
from rtfbench.results.cells import Cell


class OpenSpec(Value):
    """What a process opens and computes, and the cores that it may use."""

    cell: Cell
    artifact: ModelArtifact
    speech: Source
    cores: tuple[int, ...]


class ProfileSpec(OpenSpec):
    """What a process profiles; `reference` is the file of embeddings that it has to compute."""

    reference: Path


class ProfileTurn(Value):
    """Run the chunk so often without a profiler and with one; answer `Turned`."""

    runs: int
    #: Whether the profiler is first: the order favours one of both.
    profiled_first: bool = False


class Finish(Value):
    """Answer a `Profile` and end."""


class ProfileOpened(Value):
    """The model is loaded, and computes the reference's embedding unless `wrong` says otherwise.

    `round_ns` is how long one run of a turn takes about, with and without a profiler together.
    """

    version: str
    wrong: str
    fewer_operations: str
    load_ns: int
    round_ns: int


class Turned(Value):
    """The nanoseconds of every run of a turn; `profiled_ns` is empty without a profiler."""

    plain_ns: tuple[int, ...]
    profiled_ns: tuple[int, ...]


class Profile(Value):
    """The typical one of so many profiled runs, in nanoseconds."""

    wall_ns: int
    runs: int
    operators: tuple[OperatorTime, ...]


class Failed(Value):
    """There will be no more answers."""

    reason: str


Command = ProfileTurn | Finish
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
Reply = ProfileOpened | Turned | Profile | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)
Spec = TypeVar("Spec", bound=OpenSpec)


def usable_engine(spec: OpenSpec) -> tuple[EngineBase, str]:
    """Return an engine and the version of its runtime.

    Raises:
        EngineError: the engine is not there, or does not take the model.
    """
    engine = registry.on(spec.cell.engine, spec.cell.settings)
    found, support = engine.probe(), engine.supports(spec.artifact, spec.cell.options)
    if not found.ok or not support.ok:
        raise EngineError(support.reason if found.ok else found.reason)
    return engine, found.version


def run_worker(spec: type[Spec], work: Callable[[Spec], Iterable[BaseModel]]) -> None:
    """Answer from the command line what `work` yields, until that ends or the parent is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args()
    die_with_parent()
    wanted = spec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    devices.named(wanted.cell.device).pin(wanted.cores)  # before a runtime is loaded
    fd: int = arguments.answer_fd
    try:
        for each in work(wanted):
            answer(fd, each)
    except Exception as error:  # whatever a runtime throws ends this engine alone
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Failed(reason=kind + " ".join(str(error).split())))


#: An operator's name and type, and how many of these came before in its run.
Key = tuple[str, str, int]


def typical(runs: Sequence[ProfiledRun]) -> Profile:
    """Return one run that stands for all of a session, of which there is one at least.

    On a machine that others use, now this operator and now that takes too long, and for seconds at
    a time all of them do. So what counts is an operator's share of its run, and of that the median
    over runs. Medians of shares add up to about 1; they are scaled to do so.
    """
    keyed = [_keyed(run.operators) for run in runs]
    sums_ns = [sum(each.ns for each in run.values()) for run in keyed]
    shares = {
        key: statistics.median(
            run[key].ns / whole if key in run else 0.0
            for run, whole in zip(keyed, sums_ns, strict=True)
        )
        for key in _first(keyed)
    }
    wall_ns = statistics.median(run.wall_ns for run in runs)
    told = statistics.median(whole / run.wall_ns for whole, run in zip(sums_ns, runs, strict=True))
    scale = told * wall_ns / sum(shares.values())
    return Profile(
        wall_ns=round(wall_ns),
        runs=len(runs),
        operators=tuple(
            replace(each, ns=round(scale * shares[key])) for key, each in _first(keyed).items()
        ),
    )


def mean_of(profiles: Sequence[Profile]) -> Profile:
    """Return the mean of several sessions, each of which counts the same."""
    keyed = [_keyed(profile.operators) for profile in profiles]
    count = len(profiles)
    return Profile(
        wall_ns=round(sum(profile.wall_ns for profile in profiles) / count),
        runs=sum(profile.runs for profile in profiles),
        operators=tuple(
            replace(each, ns=round(sum(run[key].ns for run in keyed if key in run) / count))
            for key, each in _first(keyed).items()
        ),
    )


def _keyed(operators: Sequence[OperatorTime]) -> dict[Key, OperatorTime]:
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, OperatorTime] = {}
    for each in operators:
        found[each.name, each.kind, seen[each.name, each.kind]] = each
        seen[each.name, each.kind] += 1
    return found


def _first(keyed: Sequence[Mapping[Key, OperatorTime]]) -> dict[Key, OperatorTime]:
    """Return every operator as it was first seen, in the order of computing."""
    found: dict[Key, OperatorTime] = {}
    for run in keyed:
        for key, each in run.items():
            found.setdefault(key, each)
    return found
