"""Run engines on input of many lengths, one after the other, each in a process of its own."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.child import Child, ChildError
from rtfbench.base.core_count import usable_cores
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.explain.length_worker import REPLY, LengthSpec, RoundDone, SessionOpened
from rtfbench.explain.process import Failed
from rtfbench.explain.subject import Subject, artifact_of
from rtfbench.explain.visits import Visited, derive, schedule
from rtfbench.measure.machine import environment
from rtfbench.models.workload import Prepared
from rtfbench.results.explanation import EngineLengths, LengthReport

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
        rounds=tuple(map(tuple, schedule(subject.seed))),
    )
    # Here, because pydantic makes an error of its own of an interruption.
    asked = spec.model_dump_json()
    visited: list[Sequence[Visited]] = []
    opened: SessionOpened | None = None
    why, interrupted, count = "", False, len(spec.rounds)
    try:
        phase(f"{cell.engine_label}: input of many lengths")
        with TemporaryDirectory(dir=process_folder()) as logs:
            module = "rtfbench.explain.length_worker"
            with Child(module, asked, "engine", logs=Path(logs), replies=REPLY) as child:
                while len(visited) < count:
                    match child.receive(TIMEOUT_S):
                        case SessionOpened() as opened:
                            pass
                        case RoundDone() as done:
                            visited.append(done.visits)
                            advance(len(visited) / count)
                        case Failed() as failed:
                            raise ChildError(failed.reason)
    except ChildError as error:
        why = str(error)
    except KeyboardInterrupt:
        why, interrupted = "interrupted", True
    doing = f"round {min(len(visited) + 1, count)} of {count}" if opened else "opening"
    version, size = (opened.version, opened.rss_bytes) if opened else ("", 0)
    found = derive(cell.engine_label, version, size, visited)
    update = {"failed": why and f"{doing}: {why}", "interrupted": interrupted}
    return found.model_copy(update=update)
