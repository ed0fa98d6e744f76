"""Run engines on input of many lengths, one after the other, each in a process of its own."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from bench.base.child import Child, ChildError
from bench.embed.audio_input import read_source
from bench.explain.length_worker import (
    REPLY,
    LengthSpec,
    Reply,
    SessionOpened,
    Visit,
    VisitedLength,
)
from bench.explain.messages import Failed
from bench.explain.subject import Subject, artifact_of
from bench.explain.visits import IN_A_ROW, Visited, derive, schedule
from bench.machine import environment
from bench.measure.session import Progress
from bench.models.workload import Prepared
from bench.results.lengths import EngineLengths, LengthReport
from engines.protocol import EngineError

Kind = TypeVar("Kind", SessionOpened, VisitedLength)
#: One visit, or opening a session.
TIMEOUT_S = 300.0


def lengths_of(subject: Subject, *, progress: Progress) -> LengthReport:
    """Run every engine; one that fails is a row with its reason."""
    cell = subject.cells[0].cell
    audio_s = read_source(subject.speech).duration_ns / 1e9
    host = environment.describe_host(audio=[subject.speech.name], audio_s=audio_s, weights="")
    engines: list[EngineLengths] = []
    for number, prepared in enumerate(subject.cells):
        done = number / len(subject.cells)

        def advance(share: float, done: float = done) -> None:
            progress.advance(done + share / len(subject.cells))

        progress.phase(f"{prepared.cell.engine_label}: input of many lengths")
        engines.append(_run(prepared, subject, advance))
    return LengthReport(
        model=subject.cells[0].title,
        threads=cell.threads,
        cpu=host.cpu_kind,
        rtfbench=host.rtfbench,
        seed=subject.seed,
        engines=tuple(engines),
    )


def _run(prepared: Prepared, subject: Subject, advance: Callable[[float], None]) -> EngineLengths:
    """Run one engine; what it did before it failed stays."""
    cell = prepared.cell
    spec = LengthSpec(
        cell=cell,
        artifact=artifact_of(prepared),
        speech=subject.speech,
        cores=tuple(environment.usable_cores()[: cell.threads]),
    )
    rounds = schedule(subject.seed)
    visited: list[list[Visited]] = []
    opened: SessionOpened | None = None
    failed, doing = "", "opening"
    with TemporaryDirectory(prefix="rtfbench-explain-") as logs:
        child: Child[Reply] = Child(
            "bench.explain.length_worker",
            spec.model_dump_json(),
            "engine",
            logs=Path(logs),
            replies=REPLY,
        )
        with child:
            try:
                opened = _expect(child, SessionOpened)
                for number, frames in enumerate(rounds):
                    visited.append([])
                    for num_frames in frames:
                        doing = f"{num_frames} frames, round {number + 1}"
                        visited[-1].append(_visit(child, num_frames))
                    advance((number + 1) / len(rounds))
            except (ChildError, EngineError) as error:
                failed = f"{doing}: {error}"
    whole = [each for each in visited if len(each) == len(rounds[0])]
    version, size = (opened.version, opened.rss_bytes) if opened else ("", 0)
    found = derive(cell.engine_label, version, size, whole)
    return found.model_copy(update={"failed": failed})


def _visit(child: Child[Reply], num_frames: int) -> Visited:
    child.send(Visit(num_frames=num_frames, runs=IN_A_ROW))
    reply = _expect(child, VisitedLength)
    return Visited(num_frames, reply.ns, reply.rss_bytes, reply.moved)


def _expect(child: Child[Reply], kind: type[Kind]) -> Kind:
    """Wait for an answer.

    Raises:
        ChildError: there is none.
        EngineError: the engine failed.
    """
    reply = child.receive(TIMEOUT_S)
    if isinstance(reply, Failed):
        raise EngineError(reply.reason)
    assert isinstance(reply, kind)
    return reply
