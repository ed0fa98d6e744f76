"""Commands and library calls back to back: nothing may grow, and nothing may stay.

    make soak MINUTES=5
    python -m tests.soak --minutes 60

Everything runs in this one process, as it does for who uses the Python API for days; workers are
processes as ever. What fails is in every round too, because that is where things are forgotten:
workers that are killed, recordings that are none. The first rounds load what is loaded once, and
are not counted.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path

import psutil

from rtfbench import Embedder
from rtfbench.base.cache import CACHE_VARIABLE
from rtfbench.base.scratch import process_folder
from rtfbench.commands import main as rtfbench
from rtfbench.embed.audio_input import DEFAULT_SPEECH

#: Rounds before the first look, and how much the process may grow from there on.
WARM_UP, MOST_GROWTH_BYTES = 2, 20_000_000
#: Of every so many rounds, one makes its files anew.
ROUNDS_A_CACHE = 10
#: How long a process that was killed may take to be gone.
SETTLE_S = 5.0
#: Marks every process that descends from this one, whoever is its parent by then.
MARK = "RTFBENCH_SOAK"
ENGINES = ("onnxruntime", "mnn")
SEEDED = ("--model", "xvec", "--weights", "seeded")


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    memory_bytes: int
    descriptors: int
    threads: int
    processes: int
    files: int


def look(folder: Path) -> Look:
    """Return what this process holds now.

    Args:
        folder: every file in it counts, whoever made it, but logs: of sessions there are as many
            as had time.
    """
    return Look(
        memory_bytes=written_bytes(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(Path("/proc/self/task").iterdir())),
        processes=len(descendants()),
        files=sum("logs" not in path.parts for path in folder.rglob("*")),
    )


def written_bytes() -> int:
    """Return the memory that this process has written to; pages of files come and go as such."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return 1024 * int(found["RssAnon"].split()[0])


def descendants() -> set[int]:
    """Return the processes that this one started, and that those started: orphans and dead too."""
    found = set()
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(MARK) == os.environ.get(MARK, "")
        except psutil.Error:
            ours = False  # somebody else's, gone, or dead: of ours, a dead one has its parent yet
        if ours:
            found.add(process.pid)
    found |= {child.pid for child in psutil.Process().children(recursive=True)}
    return found - {os.getpid()}


def settled(folder: Path, before: Look) -> Look:
    """Look again, for some seconds, while processes that were killed are still there."""
    deadline = time.monotonic() + SETTLE_S
    while (after := look(folder)).processes > before.processes and time.monotonic() < deadline:
        time.sleep(0.1)
    return after


def grown(before: Look, after: Look) -> list[str]:
    """Say what there is more of than there may be (pure)."""
    found = []
    for field in fields(Look):
        first, last = getattr(before, field.name), getattr(after, field.name)
        allowed = MOST_GROWTH_BYTES if field.name == "memory_bytes" else 0
        if last > first + allowed:
            found.append(f"{field.name}: {first} at the start, {last} at the end")
    return found


@dataclass(frozen=True)
class Step:
    """A command, and the statuses that it may end with."""

    arguments: Sequence[object]
    statuses: tuple[int, ...] = (0,)

    def run(self) -> None:
        """Run the command in this process.

        Raises:
            SystemExit: it did not end as it should.
        """
        command = [str(each) for each in self.arguments]
        told, status = StringIO(), 0
        with redirect_stdout(told), redirect_stderr(told):
            try:
                rtfbench(command)
            except SystemExit as error:
                status = int(error.code or 0)
        if status not in self.statuses:
            sys.exit(f"rtfbench {' '.join(command)}: status {status}\n{told.getvalue()}")


def steps(folder: Path) -> Iterator[Step]:
    """Yield the commands of a round, those that fail among them."""
    recording = sorted(DEFAULT_SPEECH.glob("short*.flac"))[0]
    no_recording = folder / "none.wav"
    no_recording.write_bytes(b"RIFF")
    engines = [part for name in ENGINES for part in ("--engine", name)]
    run = ("run", "--model", "xvec", *engines, "--audio", recording, "--sessions", 1, "--overwrite")
    yield Step((*run, "--budget", 1, "--out", folder / "run"))
    yield Step(("report", folder / "run"))
    yield Step((*run, "--budget", 1, "--max-rss", 10, "--out", folder / "large"), (1,))
    yield Step(("compare", *ENGINES, "--model", "xvec", "--budget", 5), (0, 1, 3))
    for name in ENGINES:
        extract = ("extract", *SEEDED, "--engine", name, "--jobs", 2, "--overwrite")
        result = folder / f"{name}.ark"
        yield Step((*extract, "--wav", recording, "--result", result))
        skipped = (*extract, "--wav", no_recording, recording, "--result", folder / "some.npz")
        yield Step(skipped, (1,))
        yield Step((*extract, "--wav", recording, "--max-rss", 10, "--result", result), (2,))
        yield Step((*extract, "--wav", recording, "--timeout", 0.001, "--result", result), (1,))
    trials = folder / "trials"
    trials.write_text(f"{recording.stem} {recording.stem}\n")
    yield Step(("score", "--trials", trials, "--embeddings", folder / "mnn.ark"))
    yield Step(("score", "--trials", no_recording, "--embeddings", folder / "mnn.ark"), (2,))


def embed(engine: str) -> None:
    """Open a model in this process, and embed with it."""
    recordings = sorted(DEFAULT_SPEECH.glob("*.flac"))
    with Embedder("xvec", engine=engine, weights="seeded") as embedder:
        for _ in embedder.embed_many(recordings):
            pass


def one_round(folder: Path, number: int) -> None:
    """Run every step once.

    Raises:
        SystemExit: a command did not end as it should.
    """
    if number % ROUNDS_A_CACHE == 0:
        Step(("cache", "empty")).run()
    for step in steps(folder):
        step.run()
    for engine in ENGINES:
        embed(engine)


@contextmanager
def own_place() -> Iterator[Path]:
    """Yield a folder that holds all that is written from here on, temporary files and cache too."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Path(name)
        for variable, part in (("TMPDIR", "temporary"), (CACHE_VARIABLE, "cache")):
            (place / part).mkdir()
            os.environ[variable] = str(place / part)
        tempfile.tempdir = None  # it was read before
        os.environ[MARK] = str(os.getpid())
        process_folder()  # stays until the end
        yield place


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, and return 1 where something grew.

    Args:
        argv: the arguments, those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    end_s = time.monotonic() + 60 * parser.parse_args(argv).minutes
    with own_place() as place:
        (place / "work").mkdir()
        for number in range(WARM_UP):
            one_round(place / "work", number)
        before = after = look(place)
        print(f"At the start: {before}")
        print("| round | MB | descriptors | threads | processes | files |")
        print("| ----: | -: | ----------: | ------: | --------: | ----: |")
        rounds = 0
        while time.monotonic() < end_s or not rounds:
            rounds += 1
            one_round(place / "work", rounds)
            after = settled(place, before)
            values = (f"{after.memory_bytes / 1e6:.1f}", after.descriptors, after.threads)
            cells = " | ".join(map(str, (rounds, *values, after.processes, after.files)))
            print(f"| {cells} |", flush=True)
    found = grown(before, after)
    print("\n".join(found) or f"{rounds} rounds: nothing grew (process {os.getpid()})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
