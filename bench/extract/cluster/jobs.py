"""What the client and a worker of a cluster say to each other: plain dictionaries on the way."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from rtfbench.base.values import Value
from rtfbench.extract.messages import ExtractionSetup, WorkerOptions
from rtfbench.extract.shards import Shard
from rtfbench.inputs.formats import Inputs
from rtfbench.models.facts import Facts


class Extraction(Value):
    """What all shards of an extraction have in common; all paths are absolute.

    `folder` is where the shards go, on storage that every host shares. It holds `token`, by which a
    worker knows that it sees the client's folder and not another one of that name.
    """

    facts: Facts
    setup: ExtractionSetup
    inputs: Inputs
    list_sha256: str
    worker: WorkerOptions
    folder: Path
    token: str


class ShardJob(Value):
    """One shard, and where in the list it begins and ends."""

    extraction: Extraction
    shard: Shard
    first: int
    stop: int


class PaceJob(Value):
    """Utterances by their places in the list, of which it is only asked how long they take."""

    extraction: Extraction
    places: tuple[int, ...]


class ShardDone(Value):
    """A finished shard; what was finished before has no times.

    `embedded` counts those of this turn alone, as the times do.
    """

    kind: Literal["done"] = "done"
    entries: int
    failures: int
    embedded: int = 0
    audio_ns: int = 0


class Pace(Value):
    """How long utterances took, by the clock on the wall; `failures` says why others did not."""

    kind: Literal["pace"] = "pace"
    embedded: int
    wall_s: float
    failures: tuple[str, ...] = ()


class ShardRefusal(Value):
    """Why there is no answer.

    `busy`: another process is writing the shard. `failed`: it may be better elsewhere. `unfit`: the
    worker is of no use, for any shard.
    """

    kind: Literal["busy", "failed", "unfit"]
    reason: str


Answer = Annotated[ShardDone | Pace | ShardRefusal, Field(discriminator="kind")]
ANSWER: TypeAdapter[ShardDone | Pace | ShardRefusal] = TypeAdapter(Answer)
