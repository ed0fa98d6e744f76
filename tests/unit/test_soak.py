"""The soak's eyes: what it takes for growth."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from tests.soak import MOST_GROWTH_BYTES, Look, grown, look

CALM = Look(rss_bytes=100_000_000, descriptors=10, threads=1, children=0, temporary=0)


def test_growth_is_named() -> None:
    """Memory may grow by what is allowed, nothing else at all; less is never wrong."""
    assert grown(CALM, replace(CALM, rss_bytes=CALM.rss_bytes + MOST_GROWTH_BYTES)) == []
    assert grown(CALM, replace(CALM, descriptors=9)) == []
    found = grown(CALM, Look(200_000_000, 11, 2, 1, 1))
    assert [line.partition(":")[0] for line in found] == [
        *("rss_bytes", "descriptors", "threads", "children", "temporary")
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
    for what in ("descriptors", "threads", "children", "temporary"):
        assert what in found
    (tmp_path / "left").unlink()
    assert grown(before, look(tmp_path)) == []
