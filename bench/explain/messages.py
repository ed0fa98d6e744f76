"""What the parent and a process of an engine say to each other, one JSON object a line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.base.values import Value
from bench.embed.audio_input import Source
from bench.results.cells import Cell
from engines.profiling import OperatorTime
from engines.protocol import ModelArtifact, SessionOptions


class EngineSpec(Value):
    """What a process opens, and the cores that it may use."""

    cell: Cell
    artifact: ModelArtifact
    cores: tuple[int, ...]

    @property
    def options(self) -> SessionOptions:
        """How its sessions are opened."""
        return SessionOptions(self.cell.threads, self.cell.settings, self.cell.precision)


class ProfileSpec(EngineSpec):
    """What a process profiles, and the embeddings that its own are compared with."""

    speech: Source
    reference: Path


class Turn(Value):
    """Run the chunk so often without a profiler and with one; answer `Turned`."""

    command: Literal["turn"] = "turn"
    runs: int
    #: Whether the profiler is first: who comes when favours one of both.
    profiled_first: bool = False


class Finish(Value):
    """Answer a `Profile` and end."""

    command: Literal["finish"] = "finish"


class Opened(Value):
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


Command = Turn | Finish
COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])
Reply = Opened | Turned | Profile | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])
