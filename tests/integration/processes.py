"""Commands that are started and not waited for, and the workers that they start."""

import os
import subprocess
import sys
from pathlib import Path


def start(*arguments: object, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start the command line without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "rtfbench.commands", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def workers_of(pid: int, module: str) -> list[int]:
    """Return the process ids of a command's workers, those that run a module."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if module.encode() in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
