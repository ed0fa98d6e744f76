"""`extract` that is ended in the middle: nothing is lost, and --resume completes it."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.embeddings import read_embeddings

from .extraction import MODEL, Command, names, write_list
from .processes import start, workers_of

#: How often each of the forty recordings stands in the list.
TIMES = 3


@pytest.fixture(scope="module")
def long_scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a list that takes long enough to be interrupted."""
    return write_list(tmp_path_factory.mktemp("long") / "wav.scp", recordings * TIMES)


def assert_complete(text: str, expected: str) -> None:
    """The result of `long_scp` is the expected one so many times."""
    values = [line.partition(" ")[2] for line in expected.splitlines()] * TIMES
    assert text.splitlines() == [f"u{i} {value}" for i, value in enumerate(values)]


def wait_for_lines(part: Path, process: "subprocess.Popen[str]", lines: int) -> None:
    """Wait until a part file has this many lines."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if part.exists() and part.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no embeddings came")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_worker_is_replaced(
    long_scp: Path, expected: str, tmp_path: Path, jobs: int
) -> None:
    """Killing workers in the middle, again and again, changes nothing in the result."""
    result = tmp_path / "e.txt"
    process = start(*("extract", "--wav-scp", long_scp, *MODEL, "--jobs", jobs, "--result", result))
    for lines in (5, 30, 60):
        wait_for_lines(tmp_path / "e.txt.part", process, lines)
        os.kill(workers_of(process.pid, "rtfbench.extract.worker")[-1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert_complete(result.read_text(), expected)


@pytest.mark.parametrize(
    ("how", "status", "ending"),
    [
        (signal.SIGKILL, -9, "txt"),
        (signal.SIGTERM, 143, "txt"),
        (signal.SIGKILL, -9, "ark"),
        (signal.SIGINT, 130, "ark"),
    ],
)
def test_what_was_done_survives_the_parent(
    rtfbench: Command,
    long_scp: Path,
    expected: str,
    tmp_path: Path,
    how: signal.Signals,
    status: int,
    ending: str,
) -> None:
    """No worker stays, the part is a valid beginning, and --resume completes it."""
    result = tmp_path / f"e.{ending}"
    arguments = ("extract", "--wav-scp", long_scp, *MODEL, "--result", result)
    process = start(*arguments, "--jobs", 2)
    part = tmp_path / f"e.{ending}.part"
    wait_for_lines(part, process, 30)
    workers = workers_of(process.pid, "rtfbench.extract.worker")
    process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert ("go on with --resume" in stderr) == (how != signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker was left behind"
        time.sleep(0.05)
    assert not result.exists()
    whole, _, cut = part.read_text().rpartition("\n")
    # SIGKILL may end a write between two pages: such a line is not done.
    assert not cut or how == signal.SIGKILL
    done = names(whole)
    assert done == [f"u{i}" for i in range(len(done))]
    assert 30 <= len(done) < 40 * TIMES

    with part.open("a") as file:  # as if the last line had been cut off in the middle
        file.write("u999 1.0 2.")
    resumed = rtfbench(*arguments, "--resume", "--verbose")
    assert resumed.returncode == 0, resumed.stderr
    computed = re.findall(r"^(u\d+): RTF", resumed.stderr, re.MULTILINE)
    assert computed == [f"u{i}" for i in range(len(done), 40 * TIMES)]
    if ending == "txt":
        assert_complete(result.read_text(), expected)
    assert [name for name, _ in read_embeddings(result)] == [f"u{i}" for i in range(40 * TIMES)]


def test_no_room_left_is_one_line(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path
) -> None:
    """When the result cannot grow, one line says so, and --resume goes on once there is room."""
    arguments = ("extract", "--wav-scp", scp, *MODEL, "--result", tmp_path / "e.txt")
    limit = (30_000, resource.RLIM_INFINITY)
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.commands", *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "make room and go on with --resume" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (tmp_path / "e.txt.part").stat().st_size == 30_000
    assert rtfbench(*arguments, "--resume").returncode == 0
    assert (tmp_path / "e.txt").read_text() == expected


def test_whoever_is_refused_removes_nothing(rtfbench: Command, tmp_path: Path) -> None:
    """A second run that comes before the first has an embedding leaves its empty file alone."""
    slow = tmp_path / "slow.scp"
    slow.write_text("".join(f"u{n} sh -c 'sleep 4 && cat {DEFAULT_SPEECH}/short_en_us.flac' |\n"
                            for n in range(2)))  # fmt: skip
    result = tmp_path / "e.txt"
    arguments = ("extract", "--wav-scp", slow, "--allow-pipes", *MODEL, "--result", result)
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not result.with_name("e.txt.part").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    refused = rtfbench(*arguments, "--resume")
    assert (refused.returncode, "another rtfbench" in refused.stderr) == (2, True)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(result.read_text().splitlines()) == 2


def test_one_writer_at_a_time(rtfbench: Command, long_scp: Path, tmp_path: Path) -> None:
    """A second run into the same result is refused while the first one is at work."""
    arguments = ("extract", "--wav-scp", long_scp, *MODEL, "--result", tmp_path / "e.txt")
    process = start(*arguments)
    try:
        wait_for_lines(tmp_path / "e.txt.part", process, 1)
        refused = rtfbench(*arguments, "--resume")
        assert refused.returncode == 2
        assert "another rtfbench is writing it" in refused.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
