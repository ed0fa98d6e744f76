"""What the parent and a worker say to each other, one JSON object a line."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from rtfbench.base.values import Value
from rtfbench.embed.audio_input import Source
from rtfbench.engines.protocol import ModelArtifact
from rtfbench.results.cells import Cell
from rtfbench.results.lines import Outcome
from rtfbench.results.records import Record


class WorkerSpec(Value):
    """All that a worker needs to know; kept beside its log so that it can be run by hand.

    A new field is told to `rtfbench.measure.workers`.
    """

    protocol: int = 1
    cell_id: str
    cell: Cell
    artifact: ModelArtifact
    sources: tuple[Source, ...]
    reference: Path
    embeddings: Path | None
    cores: tuple[int, ...]
    session: int = 0
    scored: tuple[Source, ...] = ()
    #: Whether threads, precision and memory are looked at; None does so in the first session.
    proves: bool | None = None


class Open(Value):
    """Open the model, check its first embedding, and answer `Ready`."""

    command: Literal["open"] = "open"


class Measure(Value):
    """Run one chunk untimed, then these utterances; answer a `Record` for each, then `Done`."""

    command: Literal["measure"] = "measure"
    block: int
    position: int
    utterances: tuple[str, ...]


class Warm(Value):
    """Run one chunk untimed; answer `Done`."""

    command: Literal["warm"] = "warm"


class Work(Value):
    """Run these utterances together, as one task of a queue; answer `Worked`."""

    command: Literal["work"] = "work"
    utterances: tuple[str, ...]


class Hear(Value):
    """Run these windows together, each the next one of a live stream; answer `Worked`."""

    command: Literal["hear"] = "hear"
    utterances: tuple[str, ...]
    streams: tuple[int, ...]


class Check(Value):
    """Compare with the reference what tasks gave since the last check; answer `Done`."""

    command: Literal["check"] = "check"


class Embed(Value):
    """Embed these of the recordings that are scored, untimed; answer `Done`."""

    command: Literal["embed"] = "embed"
    utterances: tuple[str, ...]


class Stop(Value):
    """Write the embeddings, answer an `Outcome` and end."""

    command: Literal["stop"] = "stop"


class Loaded(Value):
    """Audio, reference and runtime are loaded, nothing is opened; `chunks` by utterance."""

    kind: Literal["loaded"] = "loaded"
    chunks: dict[str, int]


class Ready(Value):
    """The model is loaded, its first embedding is right and its threads are proved.

    Times are rough, for planning: those of opening a session, of a session's first chunk and of
    later ones. The first session also gives its memory, as it is after all utterances once, and
    what looking at that, at threads and at precision took.
    """

    kind: Literal["ready"] = "ready"
    version: str
    build: str
    note: str
    load_ns: int
    first_chunk_ns: int
    chunk_ns: int
    proof_ns: int = 0
    peak_rss_bytes: int | None = None
    steady_rss_bytes: int | None = None


class Worked(Value):
    """A task of a queue is done; `processing_ns` is from its beginning to its last embedding."""

    kind: Literal["worked"] = "worked"
    audio_ns: int
    padded_audio_ns: int
    frontend_ns: int
    chunk_ns: tuple[int, ...]
    processing_ns: int
    cpu_ns: int
    load_ns: int
    first_chunk_ns: int
    #: Of windows: their frames, and those of them whose features were known.
    frames: tuple[int, int] = (0, 0)


class Done(Value):
    """The pass that was asked for is complete."""

    kind: Literal["done"] = "done"


Command = Open | Measure | Warm | Work | Hear | Check | Embed | Stop
COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])
Reply = Loaded | Ready | Record | Worked | Done | Outcome
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])
