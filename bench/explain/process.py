"""What a process of one engine does around its work: options, cores, answers, and its end.

Commands come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`rtfbench.worker`.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import BaseModel, Field, TypeAdapter

from rtfbench.base.child import answer, die_with_parent
from rtfbench.base.values import Value
from rtfbench.embed.audio_input import Source
from rtfbench.engines import registry
from rtfbench.engines.base import EngineBase
from rtfbench.engines.profiling import OperatorTime
from rtfbench.engines.protocol import EngineError, ModelArtifact
from rtfbench.measure.machine import devices
from rtfbench.results.cells import Cell


class OpenSpec(Value):
    """What a process opens, and the cores that it may use."""

    cell: Cell
    artifact: ModelArtifact
    cores: tuple[int, ...]


class ProfileSpec(OpenSpec):
    """What a process profiles, and the embeddings that its own are compared with."""

    speech: Source
    reference: Path


class ProfileTurn(Value):
    """Run the chunk so often without a profiler and with one; answer `Turned`."""

    command: Literal["turn"] = "turn"
    runs: int
    #: Whether the profiler is first: the order favours one of both.
    profiled_first: bool = False


class Finish(Value):
    """Answer a `Profile` and end."""

    command: Literal["finish"] = "finish"


class ProfileOpened(Value):
    """The model is loaded, and computes the reference's embedding unless `wrong` says otherwise.

    `profiled` says whether the runtime tells of its operators; `round_ns` is how long one run of a
    turn takes about, both kinds together.
    """

    kind: Literal["opened"] = "opened"
    version: str
    profiled: bool
    wrong: str
    fewer_operations: str
    load_ns: int
    round_ns: int


class Turned(Value):
    """The nanoseconds of every run of a turn; `profiled_ns` is empty without a profiler."""

    kind: Literal["turned"] = "turned"
    plain_ns: tuple[int, ...]
    profiled_ns: tuple[int, ...]


class Profile(Value):
    """The typical one of so many profiled runs, in nanoseconds."""

    kind: Literal["profile"] = "profile"
    wall_ns: int
    runs: int
    operators: tuple[OperatorTime, ...]


class Failed(Value):
    """There will be no more answers."""

    kind: Literal["failed"] = "failed"
    reason: str


Command = ProfileTurn | Finish
COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])
Reply = ProfileOpened | Turned | Profile | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


class EngineWorker(Protocol):
    """What answers."""

    @property
    def opened(self) -> BaseModel:
        """The first answer, to no command."""
        ...

    def obey(self, line: str) -> BaseModel:
        """Do what a command says, and return the answer."""
        ...


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


def run_worker(
    module: str,
    spec: type[Spec],
    open_worker: Callable[[Spec], EngineWorker],
) -> None:
    """Run a worker from the command line, until the parent is gone."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args()
    die_with_parent()
    wanted = spec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    devices.named(wanted.cell.device).pin(wanted.cores)  # before a runtime is loaded
    fd: int = arguments.answer_fd
    try:
        worker = open_worker(wanted)
        answer(fd, worker.opened)
        for line in sys.stdin:
            answer(fd, worker.obey(line))
    except Exception as error:  # whatever a runtime throws ends this engine alone
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Failed(reason=kind + " ".join(str(error).split())))
