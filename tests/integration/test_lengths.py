"""`explain --lengths` on engines whose memory, embedding or end is known."""

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .processes import start

Command = Callable[..., "subprocess.CompletedProcess[str]"]

pytest.importorskip("onnxruntime")
pytest.importorskip("matplotlib")

RUNS = 500


@pytest.fixture(scope="module")
def told(
    rtfbench: Command,
    model: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, dict[str, Any]], "subprocess.CompletedProcess[str]", Path]:
    """Return engine -> what was found of it, the command's output, and its folder."""
    folder = tmp_path_factory.mktemp("lengths")
    engines = ("onnxruntime", "faulty-leak", "faulty-stale", "faulty-long")
    chosen = [word for name in engines for word in ("--engine", name)]
    out = folder / "out"
    done = rtfbench("explain", "--lengths", "--model", model, *chosen, "--seed", 1, "--out", out)
    assert (out / "lengths.json").is_file(), done.stderr
    found = json.loads((out / "lengths.json").read_text())
    return {each["engine"]: each for each in found["engines"]}, done, out


def test_a_leak_is_a_finding(told: Any) -> None:
    """64 kB of every run, and the exit status says that something was found."""
    found, done, _ = told
    leak = found["faulty-leak"]
    low, high = leak["growth_kb_ci95"]
    assert 40 < low < high < 90
    assert leak["growth_kb"] == pytest.approx(64, rel=0.1)
    assert len(leak["memory_mb"]) == RUNS
    grown = f"{leak['growth_kb'] * RUNS / 1000:.0f} MB in {RUNS} runs"
    assert "faulty-leak: a leak: the resident size grows by +" in done.stdout
    assert grown in done.stdout
    assert done.returncode == 1


def test_an_engine_that_does_not_leak(told: Any) -> None:
    """Its resident size is steady, and every length has its times."""
    found, done, _ = told
    steady = found["onnxruntime"]
    assert abs(steady["growth_kb"]) < 4
    assert "onnxruntime: the resident size is steady" in done.stdout
    frames = [each["num_frames"] for each in steady["lengths"]]
    assert frames == sorted(set(frames))
    assert len(frames) == 10
    assert all(each["again_ms"] > 0 for each in steady["lengths"])
    assert steady["moved"] < 1e-5


def test_an_embedding_that_depends_on_what_came_before(told: Any) -> None:
    """A session that keeps something of another length is wrong, whatever its memory."""
    found, done, _ = told
    assert found["faulty-stale"]["moved"] > 1e-3
    assert "faulty-stale computes another embedding when a length comes back" in done.stdout


def test_an_engine_that_dies_costs_the_others_nothing(told: Any) -> None:
    """Its row says how it ended."""
    found, done, _ = told
    assert "SIGSEGV" in found["faulty-long"]["failed"]
    assert "faulty-long failed (round 1 of 25: " in done.stdout


def test_ctrl_c_keeps_what_was_done(model: Path, cache: Path, tmp_path: Path) -> None:
    """The engine that came to its end is told, and the one that did not says so."""
    out = tmp_path / "out"
    # It never answers, so that it is at work on every machine when the command is interrupted.
    engines = ("--engine", "onnxruntime", "--engine", "faulty-hang")
    process = start("explain", "--lengths", "--model", model, *engines, "--out", out)
    assert process.stderr is not None
    for line in process.stderr:
        if "faulty-hang: input of many lengths" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    first, second = json.loads((out / "lengths.json").read_text())["engines"]
    assert (first["engine"], first["interrupted"]) == ("onnxruntime", False)
    assert len(first["memory_mb"]) == RUNS
    assert (second["engine"], second["interrupted"]) == ("faulty-hang", True)
    told = r"faulty-hang is not complete \((opening|round \d+ of 25): interrupted\)"
    assert re.search(told, stdout)


def test_the_folder_has_report_and_picture(told: Any) -> None:
    """The report in the words that were printed."""
    _, done, out = told
    assert (out / "lengths.md").read_text() == done.stdout
    assert (out / "lengths.png").read_bytes().startswith(b"\x89PNG")
    assert (
        "faulty-leak, a leak" in (out / "lengths.svg").read_text()
        or (out / "lengths.svg").stat().st_size > 1000
    )


def test_static_models_are_refused(rtfbench: Command) -> None:
    """They take one length."""
    done = rtfbench("explain", "--lengths", "--form", "static")
    assert done.returncode == 2
    assert "a static model takes one length" in done.stderr
