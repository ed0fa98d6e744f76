"""The tasks that a worker is sent, as many at a time as make a batch."""

import os
import select
from collections.abc import Iterator

from bench.extract.messages import Task


class TaskBatches:
    """Reads tasks, as JSON lines; those that are there already make one batch."""

    def __init__(self, fd: int, most: int) -> None:
        """Read nothing yet.

        Args:
            fd: the pipe that they come by.
            most: how many make a batch.
        """
        self._fd, self._most, self._pending, self._ended = fd, most, b"", False

    def __iter__(self) -> Iterator[list[Task]]:
        """Yield one task or more at a time, until the parent closes the pipe."""
        waiting: list[Task] = []
        while True:
            waiting += self._read(block=not waiting)
            if not waiting:
                return
            together = waiting[: self._most]
            count = next((i for i, task in enumerate(together) if task.alone), self._most) or 1
            some, waiting = waiting[:count], waiting[count:]
            yield some

    def _read(self, *, block: bool) -> list[Task]:
        """Return the tasks that have come; with `block`, wait until there is one or no more."""
        while not self._ended and (block or select.select([self._fd], [], [], 0)[0]):
            data = os.read(self._fd, 1 << 16)
            self._ended = not data
            self._pending += data
            block = block and b"\n" not in self._pending
        *lines, self._pending = self._pending.split(b"\n")
        return [Task.model_validate_json(line) for line in lines]
