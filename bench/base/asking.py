"""One question to a process of its own: JSON in on standard input, JSON out, and an end in time.

What may crash, print to standard output or load a heavy library is asked there. By hand, with the
request in a file: `python -m MODULE < request.json`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from rtfbench.base.child import (
    SINGLE_THREADED,
    ChildError,
    ChildSilent,
    die_with_parent,
    how_it_ended,
    inherited,
    last_said,
    write_all,
)
from rtfbench.base.errors import InputError
from rtfbench.base.memory import MemoryLimit
from rtfbench.base.packages import run_module

Request = TypeVar("Request", bound=BaseModel)
Answer = TypeVar("Answer")


def ask(
    module: str,
    request: BaseModel,
    answer: type[Answer],
    *,
    timeout_s: float,
    log: Path | None = None,
    single_threaded: bool = False,
    memory: MemoryLimit | None = None,
) -> Answer:
    """Run `python -m module` on a request and return its answer.

    Args:
        module: calls `respond` when it is run.
        request: what it is asked.
        answer: the type of what it answers.
        timeout_s: after so long the process and all that it started are ended.
        log: where everything that it prints goes; None forgets it, but for an error's reason.
        single_threaded: whether numerical libraries may start no threads of their own.
        memory: what the process and all that it starts may take together.

    Raises:
        InputError: it names a file whose name is no text.
        ChildTooLarge: they took more.
        ChildError: no answer; one line with the reason.
    """
    with log.open("w+b") if log else TemporaryFile() as said:
        done = _run(
            run_module(module),
            _question(request),
            said,
            env={**inherited(), **(SINGLE_THREADED if single_threaded else {})},
            timeout_s=timeout_s,
            memory=memory or MemoryLimit(),
        )
        try:
            return TypeAdapter(answer).validate_json(done.stdout)
        except ValidationError:
            reason = how_it_ended(done.returncode)
            # Killed by a signal, it had no time to say why: what it said last is something else.
            if done.returncode > 0:
                said.seek(0)
                reason = last_said(said.read().decode(errors="replace")) or reason
            where = f" (log: {log})" if log else ""
            raise ChildError(f"{reason}{where}") from None


def respond(request: type[Request], work: Callable[[Request], Any]) -> None:
    """Answer the question on standard input; what anyone prints meanwhile goes to standard error.

    The answer, which `work` returns, is a value that pydantic can write.
    """
    die_with_parent()
    answer_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer = work(request.model_validate_json(sys.stdin.buffer.read()))
    write_all(answer_fd, TypeAdapter(type(answer)).dump_json(answer))


def _run(
    command: list[str],
    given: bytes,
    said: IO[bytes],
    *,
    env: dict[str, str],
    timeout_s: float,
    memory: MemoryLimit,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process group of its own, which ends with it whatever happens."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env=env,
        # Ctrl-C is for the parent; a converter that the process started ends with it.
        start_new_session=True,
    ) as process:
        talk = partial(_talk, process, iter([given]))
        try:
            stdout = memory.wait(process.pid, talk, timeout_s, family=True)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, ChildSilent):
                raise ChildError(f"no answer within {timeout_s:g} s") from None
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout)


def _question(request: BaseModel) -> bytes:
    """Return a request as it travels.

    Raises:
        InputError: it names a file whose name is no text.
    """
    try:
        return request.model_dump_json().encode()
    except PydanticSerializationError:
        for _, value in request:
            shown = str(value).encode(errors="backslashreplace").decode()
            if isinstance(value, Path) and shown != str(value):
                raise InputError(f"{shown}: its name is not UTF-8; rename it") from None
        raise


def _talk(process: "subprocess.Popen[bytes]", given: Iterator[bytes], limit_s: float) -> bytes:
    """Hand a process its question, which it takes once, and wait for all of its output."""
    try:
        return process.communicate(next(given, None), timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        raise ChildSilent.after(limit_s) from None
