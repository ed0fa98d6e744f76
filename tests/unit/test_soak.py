"""The soak's eyes: what it takes for growth."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak import MARK, MOST_GROWTH_BYTES, Look, Step, descendants, grown, look

CALM = Look(memory_bytes=100_000_000, descriptors=10, threads=1, processes=0, files=0)


def test_growth_is_named() -> None:
    """Memory may grow by what is allowed, nothing else at all; less is never wrong."""
    assert grown(CALM, replace(CALM, memory_bytes=CALM.memory_bytes + MOST_GROWTH_BYTES)) == []
    assert grown(CALM, replace(CALM, descriptors=9)) == []
    found = grown(CALM, Look(200_000_000, 11, 2, 1, 1))
    assert [line.partition(":")[0] for line in found] == [
        *("memory_bytes", "descriptors", "threads", "processes", "files")
    ]


def test_what_is_left_is_seen(tmp_path: Path) -> None:
    """An open file, a thread, a child and a temporary file are each seen while they are there."""
    before = look(tmp_path)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with (tmp_path / "left").open("w"):
            during = look(tmp_path)
    finally:
        ended.set()
        thread.join()
        sleeper.communicate()
    found = " ".join(grown(before, during))
    for what in ("descriptors", "threads", "processes", "files"):
        assert what in found
    (tmp_path / "left").unlink()
    assert grown(before, look(tmp_path)) == []


def test_an_orphan_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child started and left behind belongs to nobody, and is found all the same."""
    monkeypatch.setenv(MARK, str(os.getpid()))
    before = descendants()
    quiet = "stdout=s.DEVNULL, stderr=s.DEVNULL"
    code = f"import subprocess as s; print(s.Popen(['sleep', '60'], {quiet}).pid)"
    left = int(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout)
    try:
        assert descendants() - before == {left}
    finally:
        os.kill(left, signal.SIGKILL)


def test_an_unexpected_status_ends_the_soak(tmp_path: Path) -> None:
    """A round is none when a command of it does not end as it should."""
    refused = Step(("report", tmp_path), (2,))
    refused.run()
    with pytest.raises(SystemExit, match="status 2"):
        replace(refused, statuses=(0,)).run()
