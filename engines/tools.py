"""Converters that come as programs: run to their end, in a folder of their own, within a limit."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from engines import processes
from engines.protocol import ConversionError


def run_tool(
    command: Sequence[str], *, folder: Path, made: Sequence[Path], failed: str, limit_s: float
) -> None:
    """Run a program that writes files; what it returns is not believed, only its files are.

    Args:
        command: the program with its arguments.
        folder: where it runs: some leave files of fixed names in their working folder.
        made: what it has to write, none of them empty.
        failed: how an error begins, before what it said last.
        limit_s: how long it may take.

    Raises:
        ConversionError: a file is missing, or it did not end.
    """
    try:
        done = processes.run(command, timeout_s=limit_s, folder=folder)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{failed}: no end within {limit_s:g} s") from None
    whole = all(each.is_file() and each.stat().st_size for each in made)
    if done.returncode != 0 or not whole:
        raise ConversionError(f"{failed}: {_reason(done)}")


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return what a program said last, where that is why it ended."""
    text = (done.stdout + done.stderr).decode(errors="replace")
    said = [line.strip() for line in text.splitlines() if line.strip()][-1:]
    if done.returncode < 0:
        # Killed, it had no time to say why; one that aborts does so itself, and says why.
        told = said if done.returncode == -signal.SIGABRT else []
        return "; it said: ".join([f"killed by {signal.Signals(-done.returncode).name}", *told])
    return said[0] if said else f"exit status {done.returncode}"
