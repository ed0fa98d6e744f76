"""Processes that measure one cell each, as their parent sees them."""

from pathlib import Path

from bench.base.child import Child, Interpreter
from bench.measure.messages import REPLY, Reply, WorkerSpec


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
