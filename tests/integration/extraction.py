"""What the tests of `extract` share."""

import subprocess
from collections.abc import Callable
from pathlib import Path

# XVEC is the smallest model; quarter-second chunks make it fast.
MODEL = (
    "--model",
    "xvec",
    "--seeded-weights",
    "--engine",
    "onnxruntime",
    "--samples-per-chunk",
    4000,
)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_list(path: Path, recordings: list[Path]) -> Path:
    """Write a `wav.scp` that names recordings u0, u1, ..."""
    path.write_text("".join(f"u{i} {each}\n" for i, each in enumerate(recordings)))
    return path


def names(text: str) -> list[str]:
    """Return the first field of every line."""
    return [line.split()[0] for line in text.splitlines()]
