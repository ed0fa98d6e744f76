"""Standard streams that are full, closed or left, and limits of the system: one line each."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.commands import main
from rtfbench.commands.process import SAID_IN_VAIN

FULL = "/dev/full"
COMMAND = [sys.executable, "-m", "rtfbench.commands"]


def in_shell(redirections: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does that redirects its streams."""
    script = ["sh", "-c", f'"$@" {redirections}', "sh"]
    return subprocess.run(
        [*script, *COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def extract(model: Path, short_speech: Path, tmp_path: Path) -> list[object]:
    """Return an extraction."""
    return ["extract", "--model", model, "--wav", short_speech]


def test_standard_output_that_is_full() -> None:
    """One line, and a status that says so."""
    done = in_shell(f"> {FULL}", "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rtfbench: No space left on device; make room, and try again\n"


def test_standard_output_that_is_closed() -> None:
    """One line, before anything is computed."""
    done = in_shell(">&-", "--version")
    assert (done.returncode, done.stderr) == (2, SAID_IN_VAIN + "\n")
    assert in_shell(">&- 2>&- <&-", "--version").returncode == 2


@pytest.mark.parametrize("redirection", ["2>&-", f"2> {FULL}", "2>&- <&-"])
def test_standard_error_that_takes_nothing(extract: list[object], redirection: str) -> None:
    """What is said is lost, and nothing else."""
    done = in_shell(redirection, *extract)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 1 + 16


def test_a_reader_of_embeddings_may_leave_early(extract: list[object]) -> None:
    """The status is that of a program that a broken pipe ended: not all was written."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *map(str, extract)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


def test_too_few_open_files(extract: list[object]) -> None:
    """One line with the cure."""
    done = subprocess.run(
        [*COMMAND, *map(str, extract)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rtfbench: Too many open files; allow more with: ulimit -n 1024\n"


def test_a_python_that_may_not_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cure is of Pythons, and none of places to write to."""
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(SystemExit) as ended:
        main(["engines"])
    assert ended.value.code == 2
    cure = "install rtfbench for a Python that you may start"
    assert capsys.readouterr().err == f"rtfbench: {python}: Permission denied; {cure}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("extract", "--wav", "a.wav", "--timeout", "inf"),
        ("doctor", "--budget", "inf"),
        ("compare", "mnn", "onnxruntime", "--budget", "1e300"),
        ("run", "--budget", "inf"),
        ("run", "--timeout", "1e300"),
        ("run", "--half-width", "nan"),
        ("capacity", "--latency-ms", "inf"),
        ("tune", "--goal", "server", "--latency-ms", "1e300"),
        ("export", "--format", "onnx", "-o", "x.onnx", "--num-frames", "100000000000"),
        ("extract", "--model", "resnet34", "--wav", "a.wav", "--chunk-samples", "1000000000000"),
        ("run", "--chunk-samples", "1000000000000"),
    ],
)
def test_numbers_that_nobody_means(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Infinite, not a number, or beyond all measure: bad input."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert any(word in said for word in ("finite number", "less than", "more than an hour")), said
