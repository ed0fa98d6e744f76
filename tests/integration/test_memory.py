"""`--max-rss`: whoever takes too much ends alone, and its row says so."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.child import ChildSilent
from rtfbench.base.memory import LOOK_S, ChildTooLarge, MemoryLimit, family_of, memory_of
from rtfbench.embed.audio_input import DEFAULT_SPEECH

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Tiny = Callable[..., Path]


def test_a_greedy_cell_ends_alone(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Its status says why, with both figures and the cure; the other cell is measured."""
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", model, "--audio", short_speech),
        *("--engine", "onnxruntime", "--engine", "faulty-greedy", "--max-rss", 500),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 1, done.stderr
    rows = {row["engine"]: row for row in json.loads((out / "summary.json").read_text())["cells"]}
    assert rows["onnxruntime"]["status"] == "ok"
    greedy = rows["faulty-greedy"]
    assert (greedy["status"], greedy["rtf"]) == ("out_of_memory", None)
    assert "MB of memory, and --max-rss allows 500; a larger one" in greedy["reason"]


def test_a_greedy_recording_is_skipped(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """It is tried once more by a fresh worker; the recordings around it are embedded."""
    scp, long = tmp_path / "wav.scp", DEFAULT_SPEECH / "workshop_en_gb_f.flac"
    scp.write_text(f"a {short_speech}\nb {long}\nc {short_speech}\n")
    done = rtfbench(
        *("extract", "--model", model, "--jobs", 1),
        *("--engine", "faulty-greedy", "--max-rss", 700, "--wav-scp", scp),
    )
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["a", "c"]
    (line,) = [line for line in done.stderr.splitlines() if "utterance b" in line]
    assert "tried 2 times: took" in line
    assert line.endswith("and --max-rss allows 700; a larger one gives it more")


def test_a_model_that_is_too_large_for_any_worker(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """One line ends the command where no worker can even open the model."""
    done = rtfbench("extract", "--model", model, "--wav", short_speech, "--max-rss", 5)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith("--max-rss allows 5; a larger one gives it more")


def test_a_greedy_side_ends_a_comparison(rtfbench: Command, model: Path, tmp_path: Path) -> None:
    """Nothing can be said then, and the line says why."""
    done = rtfbench(
        *("compare", "onnxruntime", "faulty-greedy", "--max-rss", 500, "--budget", 2),
        *("--model", model),
    )
    assert done.returncode == 3, done.stderr
    assert "MB of memory, and --max-rss allows 500" in done.stdout


def test_making_files_is_limited_too(
    rtfbench: Command, write_tiny_onnx: Tiny, short_speech: Path, tmp_path: Path
) -> None:
    """What makes a model's files for the first time ends, and its cells say so."""
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", write_tiny_onnx(tmp_path / "unseen.onnx"), "--audio", short_speech),
        *("--engine", "mnn", "--max-rss", 30, "--out", out),
    )
    assert done.returncode == 1, done.stderr
    for row in json.loads((out / "summary.json").read_text())["cells"]:
        assert row["status"] == "failed"
        assert "preparing" in row["reason"]
        assert "MB of memory, and --max-rss allows 30" in row["reason"]


def test_what_a_process_starts_counts() -> None:
    """A converter's memory is that of who called it."""
    greedy = "import numpy as np; a = np.ones(40_000_000, np.float32); print(flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {greedy!r}])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        limit = MemoryLimit(160_000_000)
        limit.check(process.pid)
        with pytest.raises(ChildTooLarge):
            limit.check(*family_of(process.pid))
        process.communicate(b"\n")
    assert family_of(process.pid) == [process.pid]


def test_the_largest_size_counts() -> None:
    """What a process gave back again is known to the kernel."""
    code = "import numpy as np; np.ones(40_000_000, np.float32); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        MemoryLimit(1_000_000_000).check(process.pid)
        MemoryLimit().check(process.pid)
        with pytest.raises(ChildTooLarge):
            MemoryLimit(160_000_000).check(process.pid)
        process.communicate(b"\n")
    MemoryLimit(1).check(process.pid)  # it is gone, and no fault of its size


def test_waiting_looks_and_keeps_its_time() -> None:
    """Silence ends in the time that was allowed, in which the size is looked at again and again."""
    waits: list[float] = []

    def silent(timeout_s: float) -> str:
        waits.append(timeout_s)
        raise ChildSilent

    own = memory_of().peak_bytes
    with pytest.raises(ChildSilent, match="no answer within 1 s"):
        MemoryLimit(2 * own).wait(os.getpid(), silent, 1.0)
    assert sum(waits) == pytest.approx(1.0)
    assert max(waits) <= LOOK_S
    with pytest.raises(ChildTooLarge):
        MemoryLimit(own // 2).wait(os.getpid(), silent, 1.0)
