"""Run engines on input of many lengths, one after the other, each in a process of its own."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from rtfbench.base.child import Child, ChildError
from rtfbench.base.core_count import usable_cores
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.engines.protocol import EngineError
from rtfbench.explain.length_worker import (
    REPLY,
    LengthSpec,
    Reply,
    Round,
    RoundDone,
    SessionOpened,
)
from rtfbench.explain.process import Failed
from rtfbench.explain.subject import Subject, artifact_of
from rtfbench.explain.visits import IN_A_ROW, Visited, derive, schedule
from rtfbench.measure.machine import environment
from rtfbench.models.workload import Prepared
from rtfbench.results.explanation import EngineLengths, LengthReport

Kind = TypeVar("Kind", SessionOpened, RoundDone)
#: A round, or opening a session.
TIMEOUT_S = 300.0


def lengths_of(subject: Subject, *, progress: Progress) -> LengthReport:
    """Run every engine; one that fails is a row with its reason.

    After Ctrl-C, what was done until then is returned, and the report says that it is not whole.
    """
    cell = subject.cells[0].cell
    host = environment.describe_host()
    engines: list[EngineLengths] = []
    began_s = time.monotonic()
    for number, prepared in enumerate(subject.cells):

        def advance(share: float, done: int = number) -> None:
            ran = done + share
            progress.left((len(subject.cells) - ran) * (time.monotonic() - began_s) / ran)

        engines.append(_run(prepared, subject, progress.phase, advance))
        if engines[-1].interrupted:
            break
    return LengthReport(
        model=subject.cells[0].title,
        threads=cell.threads,
        cpu=host.cpu_kind,
        rtfbench=host.rtfbench,
        seed=subject.seed,
        engines=tuple(engines),
    )


def _run(
    prepared: Prepared,
    subject: Subject,
    phase: Callable[[str], None],
    advance: Callable[[float], None],
) -> EngineLengths:
    """Run one engine; what it did before it failed, or was interrupted, stays."""
    cell = prepared.cell
    spec = LengthSpec(
        cell=cell,
        artifact=artifact_of(prepared),
        speech=subject.speech,
        cores=tuple(usable_cores()[: cell.threads]),
    )
    # Here, because pydantic makes an error of its own of an interruption.
    asked = spec.model_dump_json()
    rounds = schedule(subject.seed)
    visited: list[Sequence[Visited]] = []
    opened: SessionOpened | None = None
    failed, doing, interrupted = "", "opening", False
    try:
        phase(f"{cell.engine_label}: input of many lengths")
        with TemporaryDirectory(dir=process_folder()) as logs:
            child: Child[Reply] = Child(
                "rtfbench.explain.length_worker",
                asked,
                "engine",
                logs=Path(logs),
                replies=REPLY,
            )
            with child:
                opened = _expect(child, SessionOpened)
                for number, frames in enumerate(rounds):
                    doing = f"round {number + 1} of {len(rounds)}"
                    child.send(Round(num_frames=tuple(frames), runs=IN_A_ROW))
                    visited.append(_expect(child, RoundDone).visits)
                    advance((number + 1) / len(rounds))
    except (ChildError, EngineError) as error:
        failed = f"{doing}: {error}"
    except KeyboardInterrupt:
        failed, interrupted = f"{doing}: interrupted", True
    version, size = (opened.version, opened.rss_bytes) if opened else ("", 0)
    found = derive(cell.engine_label, version, size, visited)
    return found.model_copy(update={"failed": failed, "interrupted": interrupted})


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
