"""`extract`, `verify` and `score` from end to end: real engines, processes and recordings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.audio_input import DEFAULT_SPEECH

Command = Callable[..., "subprocess.CompletedProcess[str]"]

MODEL = "xvec"
NAMES = ("workshop_en_gb_f", "digits_en_gb", "short_en_us")


def speech(name: str) -> Path:
    """Return a recording of the package."""
    return DEFAULT_SPEECH / f"{name}.flac"


@pytest.fixture
def scp(tmp_path: Path) -> Path:
    """Return a list of three recordings, the longest first."""
    path = tmp_path / "wav.scp"
    path.write_text("".join(f"{name} {speech(name)}\n" for name in NAMES))
    return path


def read_text(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Return the embeddings of a text result, in its order."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {name: np.array(values, float) for name, *values in lines}


def test_engines_jobs_and_formats_agree(rtfbench: Command, scp: Path, tmp_path: Path) -> None:
    """Every engine, with one worker or two, writes the same embeddings in the list's order."""
    found = []
    for engine, jobs in (("onnxruntime", 1), ("mnn", 2), ("mnn-mini", 1)):
        result = tmp_path / f"{engine}.txt"
        done = rtfbench(
            *("extract", "--wav-scp", scp, "--model", MODEL, "--engine", engine),
            *("--jobs", jobs, "--result", result),
        )
        assert done.returncode == 0, done.stderr
        assert "x real time" in done.stderr
        found.append(read_text(result))
    for embeddings in found:
        assert tuple(embeddings) == NAMES
        for name in NAMES:
            largest = np.abs(found[0][name]).max()
            assert np.abs(embeddings[name] - found[0][name]).max() <= 1e-3 * largest


def test_a_bad_recording_is_skipped_and_told(rtfbench: Command, scp: Path, tmp_path: Path) -> None:
    """The others are complete, the status is 1, and --strict stops at the first bad one."""
    scp.write_text(f"gone {tmp_path}/gone.wav\n" + scp.read_text())
    arguments = ("extract", "--wav-scp", scp, "--model", MODEL, "--engine", "onnxruntime")
    result = tmp_path / "e.txt"
    done = rtfbench(*arguments, "--result", result)
    assert done.returncode == 1
    assert "gone" in done.stderr
    assert "Traceback" not in done.stderr
    assert tuple(read_text(result)) == NAMES
    strict = rtfbench(*arguments, "--strict", "--result", tmp_path / "strict.txt")
    assert strict.returncode == 1
    assert not (tmp_path / "strict.txt").exists()


def test_after_a_kill_the_prefix_is_valid_and_resume_completes_it(
    rtfbench: Command, tmp_path: Path
) -> None:
    """SIGKILL of the parent leaves whole lines; --resume adds what is missing, once each."""
    scp = tmp_path / "long.scp"
    names = [f"u{index:03d}" for index in range(300)]
    scp.write_text("".join(f"{name} {speech('digits_en_gb')}\n" for name in names))
    result = tmp_path / "e.txt"
    arguments = ["extract", "--wav-scp", scp, "--model", MODEL, "--engine", "onnxruntime"]
    arguments += ["--result", result]
    assert rtfbench(*arguments[:2], tmp_path / "none.scp").returncode == 2
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *map(str, arguments)], stderr=subprocess.DEVNULL
    )
    part = tmp_path / "e.txt.part"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.read_text().count("\n") >= 5):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not result.exists()
    resumed = rtfbench(*arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    embeddings = read_text(result)
    assert list(embeddings) == names
    assert result.read_text().count("\n") == len(names)
    assert {len(values) for values in embeddings.values()} == {512}
    assert not part.exists()


def test_verify_decides_by_the_threshold(rtfbench: Command) -> None:
    """A recording equals itself with score 1; the exit status is the decision."""
    same = speech("digits_en_gb")
    arguments = ("verify", "--enroll", same, "--model", MODEL, "--engine", "onnxruntime", "--test")
    itself = rtfbench(*arguments, same)
    assert itself.returncode == 0
    assert "1.0000" in itself.stdout
    other = rtfbench(*arguments, speech("workshop_en_gb_f"), "--threshold", "0.9999")
    assert other.returncode == 1
    assert rtfbench(*arguments, "no-such.wav").returncode == 2


def test_score_needs_every_embedding(rtfbench: Command, tmp_path: Path) -> None:
    """Cosine scores a trial; an embedding that is missing is named and the status is 1."""
    embeddings = tmp_path / "e.txt"
    embeddings.write_text("a 1 0\nb 0 2\nc 3 3\n")
    trials = tmp_path / "trials.txt"
    trials.write_text("a c target\na b nontarget\n")
    done = rtfbench("score", "--trials", trials, "--embeddings", embeddings, "--labels")
    assert done.returncode == 0
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["0.707107", "0.000000"]
    assert "EER 0.0000 %" in done.stderr
    trials.write_text("a c\na nobody\n")
    missing = rtfbench("score", "--trials", trials, "--embeddings", embeddings)
    assert missing.returncode == 1
    assert "nobody" in missing.stderr
