"""Processes that measure one cell each, as their parent sees them."""

from pathlib import Path
from typing import Protocol, Self

from bench.base.child import Child, Interpreter
from bench.measure.messages import REPLY, Command, Reply, WorkerSpec


class CellProcess(Protocol):
    """What a session needs of a process that measures one cell; the end of `with` ends it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def pid(self) -> int:
        """The process's id."""
        ...

    def send(self, command: Command, /) -> None:
        """Send one command.

        Raises:
            ChildError: nobody is there to take it.
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

    def __init__(
        self, spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None
    ) -> None:
        super().__init__(
            "bench.worker",
            spec,
            f"{spec.cell_id}-{spec.session}",
            logs=logs,
            replies=REPLY,
            interpreter=interpreter,
        )
