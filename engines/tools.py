"""Converters that come as programs: run to their end, in a folder of their own, within a limit."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

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
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=limit_s,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{failed}: no end within {limit_s:g} s") from None
    whole = all(each.is_file() and each.stat().st_size for each in made)
    if done.returncode != 0 or not whole:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = said[-1].strip() if said else f"exit status {done.returncode}"
        raise ConversionError(f"{failed}: {reason}")
