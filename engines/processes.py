"""Programs that run to their end, within a limit, and no longer than whoever started them."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

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


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program without input; return its status and all that it wrote.

    Args:
        command: the program with its arguments.
        timeout_s: after so long, it and all that it started are ended.
        folder: where it runs.
        env: its environment variables, those of this process by default.

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
