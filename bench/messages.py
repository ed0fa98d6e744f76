"""What the parent and a worker say to each other, one JSON object a line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bench.records import Cell, Outcome, Record, Value
from engines.protocol import ModelArtifact


class Source(Value):
    """An utterance's name and file, and how the file is to be read."""

    name: str
    path: Path
    channel: int | None = None
    resample: bool = False


class WorkerSpec(Value):
    """All that a worker needs to know; kept beside its log so that it can be run by hand."""

    cell_id: str
    cell: Cell
    artifact: ModelArtifact
    sources: tuple[Source, ...]
    reference: Path
    embeddings: Path
    cores: tuple[int, ...]
    session: int = 0


class Measure(Value):
    """Run every utterance once and answer a `Record` for each, then `Done`."""

    command: Literal["measure"] = "measure"
    block: int
    position: int


class Stop(Value):
    """Write the embeddings, answer an `Outcome` and end."""

    command: Literal["stop"] = "stop"


class Ready(Value):
    """The model is loaded, its first embedding is right and its threads are proved."""

    kind: Literal["ready"] = "ready"
    version: str
    build: str
    note: str


class Done(Value):
    """The pass that was asked for is complete."""

    kind: Literal["done"] = "done"


Command = Annotated[Measure | Stop, Field(discriminator="command")]
COMMAND: TypeAdapter[Measure | Stop] = TypeAdapter(Command)
Reply = Annotated[Ready | Record | Done | Outcome, Field(discriminator="kind")]
REPLY: TypeAdapter[Ready | Record | Done | Outcome] = TypeAdapter(Reply)
