"""Runs and extractions back to back: nothing may grow, and nothing may stay.

    make soak MINUTES=5
    python -m tests.soak --minutes 60

Everything runs in this one process, as it does for who uses the Python API for days; workers are
processes as ever. The first rounds load what is loaded once, and are not counted.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path

from bench.base.memory import memory_of
from bench.base.scratch import process_folder
from bench.cli import main as rtfbench
from bench.embed.audio_input import DEFAULT_SPEECH

#: Rounds before the first look, and how much the process may grow from there on.
WARM_UP, MOST_GROWTH_BYTES = 2, 20_000_000
ENGINES = ("onnxruntime", "mnn")
MODEL = ("--model", "xvec")


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    rss_bytes: int
    descriptors: int
    threads: int
    children: int
    temporary: int


def look(folder: Path) -> Look:
    """Return what this process holds now.

    Args:
        folder: where its temporary files go.
    """
    task = Path("/proc/self/task")
    children = [(each / "children").read_text().split() for each in task.iterdir()]
    return Look(
        rss_bytes=memory_of().steady_bytes,
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(task.iterdir())),
        children=sum(map(len, children)),
        temporary=sum(1 for _ in folder.rglob("*")),
    )


def grown(before: Look, after: Look) -> list[str]:
    """Say what there is more of than there may be (pure)."""
    found = []
    for field in fields(Look):
        first, last = getattr(before, field.name), getattr(after, field.name)
        allowed = MOST_GROWTH_BYTES if field.name == "rss_bytes" else 0
        if last > first + allowed:
            found.append(f"{field.name}: {first} at the start, {last} at the end")
    return found


def one_round(folder: Path) -> None:
    """Run and extract once, on every engine.

    Raises:
        SystemExit: a command did not end as it should.
    """
    recording = sorted(DEFAULT_SPEECH.glob("short*.flac"))[0]
    engines = [part for name in ENGINES for part in ("--engine", name)]
    run = ["run", *MODEL, *engines, "--budget", "1", "--sessions", "1", "--overwrite"]
    commands = [[*run, "--audio", str(recording), "--out", str(folder / "run")]]
    for name in ENGINES:
        extract = ["extract", "--wav", str(recording), *MODEL, "--seeded-weights", "--engine", name]
        result = str(folder / f"{name}.ark")
        commands.append([*extract, "--jobs", "2", "--result", result, "--overwrite"])
    for command in commands:
        told = StringIO()
        status: object = 0
        with redirect_stdout(told), redirect_stderr(told):
            try:
                rtfbench(command)
            except SystemExit as error:
                status = error.code or 0
        if status != 0:
            sys.exit(f"rtfbench {' '.join(command)}: status {status}\n{told.getvalue()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, and return 1 where something grew.

    Args:
        argv: the arguments, those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    end_s = time.monotonic() + 60 * parser.parse_args(argv).minutes
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        for _ in range(WARM_UP):
            one_round(Path(name))
        before = after = look(process_folder())
        rounds = 0
        print("| round | MB | descriptors | threads | children | temporary files |")
        print("| ----: | -: | ----------: | ------: | -------: | --------------: |")
        while time.monotonic() < end_s or not rounds:
            one_round(Path(name))
            rounds += 1
            after = look(process_folder())
            values = (f"{after.rss_bytes / 1e6:.1f}", after.descriptors, after.threads)
            cells = " | ".join(map(str, (rounds, *values, after.children, after.temporary)))
            print(f"| {cells} |", flush=True)
    found = grown(before, after)
    print("\n".join(found) or f"{rounds} rounds: nothing grew (process {os.getpid()})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
