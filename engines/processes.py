"""Programs that run to their end, within a limit, and end with the process that started them."""

import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rtfbench.engines.protocol import ConversionError

#: A compiler says where an error is, what it is, and last points at the place in a line of its own.
AN_ERROR = re.compile(r"\berror: ", re.IGNORECASE)

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child may do next to nothing.
_prctl = ctypes.CDLL(None).prctl


def ending_with_parent() -> Callable[[], None]:
    """Return what a child does before it becomes a program, so that it ends when we do.

    For `preexec_fn` of `subprocess`; it makes two system calls, and takes no lock.
    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    parent = os.getpid()

    def ask_the_kernel() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before the kernel was asked
            os._exit(1)

    return ask_the_kernel


def without_git() -> dict[str, str]:
    """Return our environment variables without git's.

    Within a hook they name the hook's repository, and would do so for every git that we start.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program without input; return its status and all that it wrote.

    After its time, it and all that it started are ended.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=env,
        # A group of its own: a compiler's driver, for one, leaves the work to others.
        start_new_session=True,
        preexec_fn=ending_with_parent(),
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def run_tool(
    command: Sequence[str], *, folder: Path, made: Sequence[Path], failed: str, limit_s: float
) -> None:
    """Run a program that writes files; what it returns is not believed, only its files are.

    Some leave files of fixed names in their working folder. An error begins with `failed`, before
    what the program said last.

    Raises:
        ConversionError: a file is missing, or it did not end.
    """
    try:
        done = run(command, timeout_s=limit_s, folder=folder)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{failed}: no end within {limit_s:g} s") from None
    whole = all(each.is_file() and each.stat().st_size for each in made)
    if done.returncode != 0 or not whole:
        raise ConversionError(f"{failed}: {_reason(done)}")


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return why a program ended: the first line that it calls an error, else what it said last."""
    text = (done.stdout + done.stderr).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if AN_ERROR.search(line)][:1] or lines[-1:]
    if done.returncode < 0:
        # Killed, it had no time to say why; one that aborts does so itself, and says why.
        told = said if done.returncode == -signal.SIGABRT else []
        return "; it said: ".join([f"killed by {signal.Signals(-done.returncode).name}", *told])
    return said[0] if said else f"exit status {done.returncode}"
