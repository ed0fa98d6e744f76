"""Processes that a run starts: workers that answer on a pipe, and helpers that run to their end.

The parent blocks while it waits. On a machine with two cores, a parent that polls would take one.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.base.modules import PYTHONPATH, run_module, search_path
from bench.base.scratch import process_folder

Reply = TypeVar("Reply")
PR_SET_PDEATHSIG = 1
#: Tells a child who started it.
PARENT_VARIABLE = "RTFBENCH_PARENT"
#: So many characters of an answer that cannot be understood are shown.
MOST_QUOTED = 80

# numpy's BLAS and OpenMP would start threads that nobody asked for; engines have their own.
SINGLE_THREADED = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class ChildError(Exception):
    """A child process failed; one line with what it last said."""


class ChildDied(ChildError):
    """The process ended without being asked to."""


class ChildSilent(ChildError):
    """The process did not answer within its time limit."""

    @classmethod
    def after(cls, timeout_s: float) -> "ChildSilent":
        """Return the error of a process that had so many seconds."""
        return cls(f"no answer within {timeout_s:g} s; a larger --timeout gives it more time")


def inherited() -> dict[str, str]:
    """Return the environment variables of a child: ours, who its parent is, and our scratch."""
    ours = {PARENT_VARIABLE: str(os.getpid()), "TMPDIR": str(process_folder())}
    return {**os.environ, **search_path(), **ours}


def die_with_parent() -> None:
    """Have the kernel end this process when its parent is gone: a paused one would stay for ever.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Not in the environment where somebody runs a worker by hand.
    parent = os.environ.pop(PARENT_VARIABLE, str(os.getppid()))
    if os.getppid() != int(parent):
        os._exit(1)  # it was gone before the kernel was asked


def answer(fd: int, value: BaseModel) -> None:
    """Send a parent one line, from within a child."""
    write_all(fd, (value.model_dump_json() + "\n").encode())


def write_all(fd: int, data: bytes) -> None:
    """Write everything to a descriptor, which may take it in parts."""
    while data:
        data = data[os.write(fd, data) :]


def read_answer(replies: TypeAdapter[Reply], line: bytes) -> Reply:
    """Return what one line of a child says.

    Raises:
        ChildError: it cannot be understood.
    """
    try:
        return replies.validate_json(line)
    except ValidationError as error:
        said = line.decode(errors="replace")[:MOST_QUOTED]
        reason = error.errors()[0]["msg"]
        raise ChildError(f"the worker's answer cannot be understood ({reason}): {said!r}") from None


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, empty if there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return last_said(text)


def last_said(text: str) -> str:
    """Return the last line of a text that says something, empty if there is none."""
    lines = text.splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def how_it_ended(returncode: int) -> str:
    """Describe an exit status in words."""
    if returncode == -signal.SIGKILL:
        return "killed by SIGKILL, which the system sends where memory is short"
    if returncode < 0:
        return f"killed by {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"


@dataclass(frozen=True)
class Interpreter:
    """A Python with its packages; `path` goes before its own, so that it may have other code."""

    python: Path = Path(sys.executable)
    path: tuple[Path, ...] = ()
    #: What the workers of that other code understand; None for this code's own.
    protocol: int | None = None

    def command(self, module: str) -> list[str]:
        """Return the beginning of a command that runs a module."""
        return run_module(module, self.python)

    def environment(self) -> dict[str, str]:
        """Return the environment variables of a process."""
        found = {**inherited(), **SINGLE_THREADED}
        if self.path:
            found[PYTHONPATH] = os.pathsep.join(map(str, self.path))
        return found


class Child(Generic[Reply]):
    """A running process that takes commands and answers them, one JSON object a line.

    `close` or the end of a `with` block ends it, whatever it is doing.
    """

    def __init__(
        self,
        module: str,
        spec: str,
        name: str,
        *,
        logs: Path,
        replies: TypeAdapter[Reply],
        interpreter: Interpreter | None = None,
    ) -> None:
        """Start `python -m module SPEC.json`.

        Args:
            module: a module that reads commands from its standard input.
            spec: what it needs to know, as JSON; kept beside its log so that it can be run by hand.
            name: names both files.
            logs: their folder.
            replies: what its answers are.
            interpreter: the Python that it runs in; this one by default.
        """
        interpreter = interpreter or Interpreter()
        self._replies = replies
        self._log = logs / f"{name}.log"
        spec_path = logs / f"{name}.json"
        spec_path.write_text(spec + "\n", encoding="utf-8")
        self._answers, answer_fd = os.pipe()
        self._pending = b""
        try:
            with self._log.open("wb") as output:
                command = [*interpreter.command(module), str(spec_path)]
                self._process = subprocess.Popen(
                    [*command, "--answer-fd", str(answer_fd)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=[answer_fd],
                    env=interpreter.environment(),
                    # Ctrl-C is for the parent, which ends its workers itself.
                    start_new_session=True,
                )
        finally:
            os.close(answer_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor to wait at for answers."""
        return self._answers

    @property
    def has_answer(self) -> bool:
        """Whether `receive` would return at once."""
        return b"\n" in self._pending

    def send(self, command: BaseModel) -> None:
        """Send one command.

        Raises:
            ChildDied: nobody is there to take it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((command.model_dump_json() + "\n").encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, timeout_s: float) -> Reply:
        """Wait for the next answer.

        Raises:
            ChildDied: the process ended before it answered.
            ChildSilent: no answer within the time limit.
        """
        deadline = time.monotonic() + timeout_s
        while not self.has_answer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise ChildSilent.after(timeout_s)
            data = os.read(self._answers, 1 << 16)
            if not data:
                raise self._died()
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return read_answer(self._replies, line)

    def _died(self) -> ChildDied:
        returncode = self._process.wait()
        # Killed by a signal, it had no time to say why: what it said last is something else. One
        # that aborts does so itself, and says why.
        told = returncode > 0 or returncode == -signal.SIGABRT
        said = last_line(self._log) if told else ""
        return ChildDied(
            f"worker ended early, {how_it_ended(returncode)}"
            + (f"; it said: {said}" if said else "")
        )

    def pause(self) -> None:
        """Stop the process where it is, so that its threads cannot spin; `resume` goes on."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process and release its pipes; a second call does nothing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1
