"""Signals to commands that measure: once, what is done is told; twice, all ends at once."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from .processes import start, workers_of
from .test_left_behind import wait_until

#: A command in which a library that calls back makes an error of its own of an interruption.
WRAPS = """
import signal
from rtfbench import commands

def wrap(_):
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt as error:
        raise ValueError("a callback failed") from error

commands._run = wrap
commands.main([])
"""


@pytest.fixture
def run(model: Path, short_speech: Path, tmp_path: Path) -> list[object]:
    """Return a run that would take minutes."""
    options = ("--engine", "onnxruntime", "--protocol", "steady", "--audio", short_speech)
    return ["run", "--model", model, *options, "--budget", 100, "--out", tmp_path / "out"]


def lines(folder: Path) -> list[dict[str, object]]:
    """Return the records that are complete."""
    path = folder / "records.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_once_finishes_the_block(run: list[object], tmp_path: Path) -> None:
    """Every turn of the last block is measured, and the report is written."""
    out = tmp_path / "out"
    process = start(*run)
    wait_until(lambda: len(lines(out)) > 50)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "once more ends at once" in stderr
    assert "samples_per_chunk = 32000" in stdout
    assert (out / "report.html").exists()
    found = lines(out)
    turns = Counter(line["block"] for line in found if line["kind"] == "record")
    assert len(set(turns.values())) == 1
    blocks = {line["block"] for line in found if line["kind"] == "health"}
    assert blocks == set(turns)


def test_twice_ends_at_once(run: list[object], tmp_path: Path) -> None:
    """Nothing more is written, and no worker stays."""
    out = tmp_path / "out"
    process = start(*run)
    wait_until(lambda: len(lines(out)) > 50)
    workers = workers_of(process.pid, "rtfbench.worker")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGHUP)  # two of a kind at once may come as one
    process.communicate(timeout=10)
    assert process.returncode in (143, 129)
    assert not (out / "table.md").exists()
    assert workers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_comparison_tells_what_it_has(model: Path, tmp_path: Path) -> None:
    """Its table says that it was interrupted, and its status is no verdict's."""
    process = start("compare", "onnxruntime", "onnxruntime", "--model", model, "--budget", 100)
    wait_until(lambda: workers_of(process.pid, "rtfbench.worker"))
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert "Interrupted: judged by what was measured until then." in stdout


def test_a_race_tells_that_it_was_interrupted(model: Path, tmp_path: Path) -> None:
    """Its answer is one of what was measured until then, and says so."""
    engines = ("--engine", "onnxruntime", "--engine", "onnxruntime[spinning=off]")
    small = ("--cores", 1, "--chunk-samples", 16000)  # few configurations, so that few are started
    options = (*engines, *small, "--budget", 100, "--out", tmp_path / "out")
    process = start("tune", "--model", model, *options)
    wait_until(lambda: any(line.get("session") == 1 for line in lines(tmp_path / "out")))
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert "Interrupted: answered by what was measured until then." in stdout


def test_an_interruption_that_a_library_wraps() -> None:
    """One that calls us back may make an error of its own of it; the status is the signal's."""
    done = subprocess.run([sys.executable, "-c", WRAPS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "")
