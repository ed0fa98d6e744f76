"""Processes that measure one cell each, as their parent sees them, and what they understand.

Specifications are JSON that refuses unknown fields, so a worker of another revision must not be
sent what came after it. Whoever adds a field to `WorkerSpec`, or to anything in it, raises
`PROTOCOL` and names the field in `SINCE`, with the value at which it changes nothing. A field of a
reply that came later needs a default.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from rtfbench.base.child import Child, ChildError, Interpreter
from rtfbench.engines import processes
from rtfbench.engines.protocol import CPU
from rtfbench.measure import OLDEST, PROTOCOL
from rtfbench.measure.messages import REPLY, Command, Reply, WorkerSpec

#: The door answers before it imports anything.
PROTOCOL_TIMEOUT_S = 60.0

#: Protocol -> the fields that came with it, by their path, and the value that may be left out.
SINCE: Mapping[int, Mapping[str, Any]] = {
    6: {"cell.device": CPU},
    7: {"cell.rate_per_s": 0.0},
    8: {"artifact.front_end": ""},
    9: {
        "cell.load": None,
        **{f"{each}.begin_s": 0.0 for each in ("sources", "scored")},
        **{f"{each}.end_s": None for each in ("sources", "scored")},
    },
}


class IncomparableError(Exception):
    """Two revisions cannot be compared; one line that says why."""


def written(spec: WorkerSpec, theirs: int, since: Mapping[int, Mapping[str, Any]] = SINCE) -> Any:
    """Return a specification, ready for JSON, as a worker of a protocol understands it.

    Raises:
        IncomparableError: something is asked for that the worker does not know.
    """
    content = spec.model_dump(mode="json")
    content["protocol"] = theirs
    for number, fields in since.items():
        for path, neutral in fields.items() if number > theirs else ():
            *parents, name = path.split(".")
            inside = [content]
            for parent in parents:
                found = [each[parent] for each in inside]
                inside = [e for each in found for e in (each if isinstance(each, list) else [each])]
            found = [each.pop(name, neutral) for each in inside]
            if any(each != neutral for each in found):
                raise IncomparableError(
                    f"its workers speak protocol {theirs} and do not know {path}, which came "
                    f"with {number}; leave it out, or name a newer revision"
                )
    return content


def protocol_of(interpreter: Interpreter) -> int:
    """Ask the workers of another revision what they understand.

    Raises:
        IncomparableError: more than this code does, or less than it still speaks to.
        ChildError: they do not answer.
    """
    try:
        done = processes.run(
            [*interpreter.command(interpreter.worker), "--protocol"],
            timeout_s=PROTOCOL_TIMEOUT_S,
            env=interpreter.environment(),
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"its worker said nothing within {PROTOCOL_TIMEOUT_S:g} s") from None
    if b"No module named" in done.stderr and interpreter.worker.encode() in done.stderr:
        raise IncomparableError("it has no bench/worker.py, so it cannot measure a cell")
    if done.returncode != 0 or not done.stdout.strip().isdigit():
        raise IncomparableError("its worker does not say which protocol it speaks")
    theirs = int(done.stdout)
    said = f"its workers speak protocol {theirs} and this rtfbench speaks"
    if theirs > PROTOCOL:
        raise IncomparableError(f"{said} {PROTOCOL}; run the gate from the newer revision")
    if theirs < OLDEST:
        raise IncomparableError(f"{said} {OLDEST} to {PROTOCOL}; name a newer revision")
    return theirs


class CellProcess(Protocol):
    """What a session needs of a process that measures one cell; the end of `with` ends it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of its processes."""
        ...

    @property
    def works_as_it_answers(self) -> bool:
        """Whether `receive` is where the work is done, so that it must not be broken off."""
        ...

    def send(self, command: Command, /) -> None:
        """Send one command.

        Raises:
            ChildError: the process has ended.
        """
        ...

    def receive(self, timeout_s: float, /) -> Reply:
        """Wait for the next answer.

        Raises:
            ChildSilent: no answer within the time limit.
            ChildError: there will be none, or it is none.
        """
        ...

    def pause(self) -> None:
        """Stop the process where it is; `resume` goes on."""
        ...

    def resume(self) -> None:
        """Let a paused process go on."""
        ...

    def close(self) -> None:
        """End the process; a second call does nothing."""
        ...


class Worker(Child[Reply]):
    """A process that measures one cell."""

    works_as_it_answers = False

    def __init__(
        self,
        spec: WorkerSpec,
        logs: Path,
        interpreter: Interpreter | None = None,
        *,
        member: int = 0,
    ) -> None:
        theirs = interpreter.protocol if interpreter else None
        content = written(spec, PROTOCOL if theirs is None else theirs)
        super().__init__(
            interpreter.worker if interpreter else "rtfbench.worker",
            json.dumps(content, indent=2),
            f"{spec.cell_id}-{spec.session}" + (f"-{member}" if member else ""),
            logs=logs,
            replies=REPLY,
            interpreter=interpreter,
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """The process's id."""
        return (self.pid,)
