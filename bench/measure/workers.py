"""Processes that measure one cell each, as their parent sees them."""

import json
from pathlib import Path
from typing import Protocol, Self

from rtfbench.base.child import Child, Interpreter
from rtfbench.measure import wire
from rtfbench.measure.messages import REPLY, Command, Reply, WorkerSpec
from rtfbench.measure.protocol import PROTOCOL


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
        content = wire.written(spec, PROTOCOL if theirs is None else theirs)
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
