"""Many kills and many flipped files, at random: minutes, so before a release.

What a few chosen faults show in the other tests has to hold wherever a fault falls.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.embed.embeddings import read_embeddings

from .extraction import MODEL, Command, write_list
from .processes import start, workers_of

pytestmark = pytest.mark.deep

KILLS, FLIPS = 25, 100
TIMES = 3
MOST_RESUMES = 200
WORKERS = ("bench.extract.worker", "bench.worker")


def victim(process_id: int, rng: random.Random) -> int:
    """Return the command or one of its workers."""
    found = [pid for name in WORKERS for pid in workers_of(process_id, name)]
    return rng.choice([process_id, *found])


def test_kills_of_an_extraction_lose_nothing(
    recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Whoever is killed, whenever: resumed to its end, the result is that of an undisturbed run."""
    rng = random.Random(1)
    scp = write_list(tmp_path / "wav.scp", recordings * TIMES)
    result = tmp_path / "e.txt"
    arguments = ("extract", "--wav-scp", scp, *MODEL, "--jobs", 2, "--result", result, "--resume")
    kills = 0
    for _ in range(MOST_RESUMES):
        process = start(*arguments)
        deadline = time.monotonic() + rng.uniform(0.5, 3)
        while kills < KILLS and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if kills < KILLS and process.poll() is None:
            os.kill(victim(process.pid, rng), signal.SIGKILL)
            kills += 1
        process.communicate(timeout=120)
        if kills >= KILLS and process.returncode == 0:
            break
        if result.exists() and kills < KILLS:
            result.unlink()
            Path(f"{result}.json").unlink()
    assert kills == KILLS
    values = [line.partition(" ")[2] for line in expected.splitlines()] * TIMES
    assert result.read_text().splitlines() == [f"u{i} {v}" for i, v in enumerate(values)]


def test_kills_of_a_run_measure_nothing_twice(tmp_path: Path) -> None:
    """Resumed to its end, a run has every cell, and every measurement of it once."""
    rng = random.Random(2)
    out = tmp_path / "run"
    engines = ("--engine", "onnxruntime", "--engine", "mnn")
    sizes = ("--chunk-samples", 4000, "--chunk-samples", 8000, "--chunk-samples", 16000)
    limits = ("--protocol", "steady", "--budget", 6, "--sessions", 2, "--seed", 1)
    arguments = ("run", "--model", "xvec", *engines, *sizes, *limits, "--out", out, "--resume")
    kills = 0
    for _ in range(MOST_RESUMES):
        process = start(*arguments)
        deadline = time.monotonic() + rng.uniform(0.5, 5)
        while kills < KILLS and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if kills < KILLS and process.poll() is None:
            process.kill()
            kills += 1
        _, stderr = process.communicate(timeout=120)
        assert "Traceback" not in stderr
        if process.returncode == 0:
            break
    cells = json.loads((out / "summary.json").read_text())["cells"]
    assert len(cells) == 6
    assert {cell["status"] for cell in cells} == {"ok"}
    # A comparison that was begun again counts from its last beginning.
    seen: Counter[tuple[object, ...]] = Counter()
    for line in (out / "records.jsonl").read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        if record["kind"] == "declaration":
            for key in [key for key in seen if key[0] == record["cell_id"]]:
                del seen[key]
        if record["kind"] == "record":
            place = ("cell_id", "session", "block", "position", "utterance")
            seen[tuple(record[name] for name in place)] += 1
    assert seen
    assert set(seen.values()) == {1}


@pytest.mark.parametrize("engine", ["onnxruntime", "mnn"])
def test_flipped_models_give_no_embedding_that_a_check_could_refuse(
    rtfbench: Command, recordings: list[Path], tmp_path: Path, engine: str
) -> None:
    """A model file with flipped bits ends in one line, or is another model: finite, and listening.

    A flipped weight is a weight; no check can tell that from the one that was meant.
    """
    rng = random.Random(engine)
    ending = {"onnxruntime": "onnx", "mnn": "mnn"}[engine]
    model = tmp_path / f"model.{ending}"
    done = rtfbench("export", "--model", "xvec", "--format", ending, "-o", model)
    assert done.returncode == 0, done.stderr
    whole = model.read_bytes()
    statuses: Counter[int] = Counter()
    for number in range(FLIPS):
        content = bytearray(whole)
        # The first of the file is structure, most of the rest weights.
        most = rng.choice([2000, len(content)])
        for _ in range(rng.choice([1, 8, 64])):
            content[rng.randrange(most)] ^= 1 << rng.randrange(8)
        flipped, result = tmp_path / f"flipped.{ending}", tmp_path / f"{number}.npz"
        flipped.write_bytes(content)
        wavs = [part for path in recordings[:2] for part in ("--wav", path)]
        asked = ("--model", flipped, "--engine", engine, "--jobs", 1, "--timeout", 20)
        done = rtfbench("extract", *wavs, *asked, "--result", result)
        statuses[done.returncode] += 1
        assert "Traceback" not in done.stderr, number
        assert done.returncode in (0, 1, 2), (number, done.stderr)
        if done.returncode == 0:
            first_D, second_D = (row.embedding_D for row in read_embeddings(result))
            assert np.isfinite(first_D).all(), number
            assert not np.array_equal(first_D, second_D), number
    assert statuses[2] + statuses[1] > 0, statuses
