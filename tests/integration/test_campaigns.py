"""Many kills at random: minutes, so before a release.

What a few chosen faults show in the other tests has to hold wherever a fault falls.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.results.store import RECORDS, RunFolder, finished_of

from .extraction import MODEL, write_list
from .processes import start, workers_of

pytestmark = pytest.mark.deep

KILLS = 25
TIMES = 3
WORKERS = ("rtfbench.extract.worker", "rtfbench.worker")


class Killer:
    """Starts commands, and kills them and their workers in turns, at some time; counts both."""

    def __init__(self, seed: int, longest_s: float) -> None:
        self._rng = random.Random(seed)
        self._longest_s = longest_s
        self.victims: Counter[str] = Counter()

    def run(self, *arguments: object) -> int:
        """Run a command to its end, killed or not, and return its status."""
        process = start(*arguments)
        deadline = time.monotonic() + self._rng.uniform(0.5, self._longest_s)
        while process.poll() is None and self.victims.total() < KILLS:
            time.sleep(0.02)
            if time.monotonic() > deadline and self._kill(process.pid):
                break
        _, stderr = process.communicate(timeout=120)
        assert "Traceback" not in stderr
        return process.returncode

    def _kill(self, process_id: int) -> bool:
        """Kill in turns the command and one of its workers, which may not be there yet."""
        whom = "worker" if self.victims["worker"] < self.victims["command"] else "command"
        found = [process_id]
        if whom == "worker":
            found = [pid for name in WORKERS for pid in workers_of(process_id, name)]
        if not found:
            return False
        os.kill(self._rng.choice(found), signal.SIGKILL)
        self.victims[whom] += 1
        return True

    def until_enough(self, to_its_end: Callable[[int], None]) -> None:
        """Repeat what runs a command to its end until there were kills enough."""
        rounds = 0
        while self.victims.total() < KILLS:
            to_its_end(rounds)
            rounds += 1


def test_kills_of_an_extraction_lose_nothing(
    recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Whoever is killed, whenever: resumed to its end, the result is that of an undisturbed run."""
    scp = write_list(tmp_path / "wav.scp", recordings * TIMES)
    values = [line.partition(" ")[2] for line in expected.splitlines()] * TIMES
    killer = Killer(1, longest_s=3)

    def extract(number: int) -> None:
        result = tmp_path / f"{number}.txt"
        part = Path(f"{result}.part")
        arguments = ("extract", "--wav-scp", scp, *MODEL, "--jobs", 2, "--result", result)
        done: set[str] = set()
        while (status := killer.run(*arguments, "--resume")) != 0:
            assert status in (1, -signal.SIGKILL)
            # Status 1: the recording of a killed worker was skipped, and the part is the result.
            kept = part if part.exists() else result
            text = kept.read_text() if kept.exists() else ""
            now = set(text[: text.rfind("\n") + 1].splitlines())
            assert now >= done
            done = now
        assert result.read_text().splitlines() == [f"u{i} {v}" for i, v in enumerate(values)]

    killer.until_enough(extract)


def test_kills_of_a_run_measure_nothing_twice(tmp_path: Path) -> None:
    """What was measured stays as it is to the byte, and cells that are finished get no line more.

    Resumed to its end, a run has every cell.
    """
    engines = ("--engine", "onnxruntime", "--engine", "mnn")
    sizes = ("--chunk-samples", 4000, "--chunk-samples", 8000, "--chunk-samples", 16000)
    limits = ("--protocol", "steady", "--budget", 6, "--sessions", 2, "--seed", 1)
    killer = Killer(2, longest_s=8)

    def measure(number: int) -> None:
        out = tmp_path / f"run{number}"
        arguments = ("run", "--model", "xvec", *engines, *sizes, *limits, "--out", out, "--resume")
        stored, finished = b"", frozenset[str]()
        while True:
            status = killer.run(*arguments)
            assert status in (0, 1, -signal.SIGKILL)
            now = (out / RECORDS).read_bytes() if (out / RECORDS).exists() else b""
            now = now[: now.rfind(b"\n") + 1]
            assert now.startswith(stored)
            added = RunFolder(out).lines()
            for _ in range(stored.count(b"\n")):
                next(added)
            assert not {line.cell_id for line in added} & finished
            stored, finished = now, finished_of(RunFolder(out).cells())
            if status == 0:
                break
        found = RunFolder(out).originals()
        outcomes = [data.outcome.status for data in found.values() if data.outcome]
        assert outcomes == ["ok"] * 6

    killer.until_enough(measure)
