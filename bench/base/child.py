"""Processes that a run starts: workers that answer on a pipe, and helpers that run to their end.

The parent blocks while it waits. On a machine with two cores, a parent that polls would take one.
"""

import ctypes
import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from rtfbench.base.packages import PYTHONPATH, run_module
from rtfbench.base.scratch import process_folder

Reply = TypeVar("Reply")
PR_SET_PDEATHSIG = 1
#: Tells a child which process started it.
PARENT_VARIABLE = "RTFBENCH_PARENT"
#: So many characters of an answer that cannot be understood are shown.
MOST_QUOTED = 80
#: In place of a specification: it is named later.
WAITS = "-"

# numpy's BLAS and OpenMP would start threads that were not asked for; engines have their own.
SINGLE_THREADED = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


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
    """Return a child's environment variables: ours, the id of its parent, and our scratch."""
    ours = {PARENT_VARIABLE: str(os.getpid()), "TMPDIR": str(process_folder())}
    return {**os.environ, **ours}


def die_with_parent() -> None:
    """Have the kernel end this process when its parent is gone: a paused one would stay for ever.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Not in the environment of a worker that is run by hand.
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


def last_said(text: str) -> str:
    """Return the last line of a text that says something, empty if there is none."""
    lines = text.splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def how_it_ended(returncode: int) -> str:
    """Describe an exit status in words."""
    if returncode == -signal.SIGKILL:
        return "killed by SIGKILL, which the system sends where memory is short"
    if returncode < 0:
        known = {each.value: each.name for each in signal.Signals}
        return f"killed by {known.get(-returncode, f'signal {-returncode}')}"
    return f"exit status {returncode}"


@dataclass(frozen=True)
class Interpreter:
    """A Python with its packages; `path` goes before its own, so that it may have other code."""

    python: Path = Path(sys.executable)
    path: tuple[Path, ...] = ()
    #: What the workers of that other code understand; None for this code's own.
    protocol: int | None = None
    #: The module of those workers.
    worker: str = "rtfbench.worker"

    def command(self, module: str) -> list[str]:
        """Return the beginning of a command that runs a module."""
        return run_module(module, self.python)

    def environment(self) -> dict[str, str]:
        """Return the environment variables of a process."""
        found = {**inherited(), **SINGLE_THREADED}
        if self.path:
            found[PYTHONPATH] = os.pathsep.join(map(str, self.path))
        return found


class Started:
    """A process of a module with its pipes: commands go in, answers come out, the log is a file."""

    def __init__(self, module: str, spec: str, log: Path, interpreter: Interpreter) -> None:
        """Start `python -m module SPEC --answer-fd N`; of `-`, see `read_spec`."""
        self.log = log
        self.answers, answer_fd = os.pipe()
        try:
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    [*interpreter.command(module), spec, "--answer-fd", str(answer_fd)],
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

    def give(self, spec: Path) -> None:
        """Name the specification to a process that was started without; one that died says so."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(os.fsencode(spec) + b"\n")
            self.process.stdin.flush()

    def close(self) -> None:
        """End the process and release its pipes; a second call does nothing."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None and not self.process.stdin.closed:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        if self.answers >= 0:
            os.close(self.answers)
            self.answers = -1


@contextmanager
def started_ahead(module: str) -> Iterator[Started]:
    """Start a module's process before its specification is known: it imports what it needs."""
    started = Started(module, WAITS, process_folder() / f"{module}.log", Interpreter())
    try:
        yield started
    finally:
        started.close()


def read_spec(path: Path) -> str:
    """Return a child's specification; of `-`, that of the file that standard input names first."""
    if str(path) == WAITS:
        # Not buffered: what follows is for others to read.
        name = io.FileIO(sys.stdin.fileno(), closefd=False).readline()
        if not name.endswith(b"\n"):
            sys.exit()  # there was nothing to do
        path = Path(os.fsdecode(name[:-1]))
    return path.read_text(encoding="utf-8")


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
        ahead: Started | None = None,
    ) -> None:
        """Start `python -m module SPEC.json`, or take one that was started ahead.

        The specification, in JSON, is kept beside the log, both under the name that is given, so
        that the module can be run by hand.
        """
        self._replies = replies
        self._pending = b""
        spec_path = logs / f"{name}.json"
        spec_path.write_text(spec + "\n", encoding="utf-8")
        if ahead is None:
            log = logs / f"{name}.log"
            self._started = Started(module, str(spec_path), log, interpreter or Interpreter())
        else:
            self._started = ahead
            ahead.give(spec_path)
        self._process, self._log = self._started.process, self._started.log

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
        return self._started.answers

    @property
    def has_answer(self) -> bool:
        """Whether `receive` would return at once."""
        return b"\n" in self._pending

    def send(self, command: BaseModel) -> None:
        """Send one command.

        Raises:
            ChildDied: the process has ended.
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
            if left <= 0 or not select.select([self.fileno()], [], [], left)[0]:
                raise ChildSilent.after(timeout_s)
            data = os.read(self.fileno(), 1 << 16)
            if not data:
                raise self._died()
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return read_answer(self._replies, line)

    def _died(self) -> ChildDied:
        returncode = self._process.wait()
        # Killed by a signal, it had no time to say why: what it said last is something else. One
        # that aborts does so itself, and says why.
        said = ""
        if returncode > 0 or returncode == -signal.SIGABRT:
            with suppress(OSError):
                said = last_said(self._log.read_text(encoding="utf-8", errors="replace"))
        told = f"; it said: {said}" if said else ""
        return ChildDied(f"worker ended early, {how_it_ended(returncode)}{told}")

    def pause(self) -> None:
        """Stop the process where it is, so that its threads cannot spin; `resume` goes on."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process and release its pipes; a second call does nothing."""
        self._started.close()
