"""The cache folder: what is listed, what goes, and what is left alone."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.cache import CACHE_VARIABLE, CacheEntry, entries, outdated
from rtfbench.base.errors import InputError
from rtfbench.base.limits import parse_size
from rtfbench.commands.cache import seconds

ROOT = Path(__file__).parents[2]
DAY_S = 86400.0
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache with a model of 40 days, a reference of 10 and an environment of today."""
    for name, size_bytes, days in (
        ("models/old-1/dynamic.onnx", 3000, 40),
        ("models/old-1/dynamic.json", 1, 50),
        ("references/mid-2.npz", 2000, 10),
        ("environments/new/bin/python", 1000, 0),
        ("pictures/mine.png", 5000, 400),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size_bytes)
        used_s = time.time() - days * DAY_S
        os.utime(path, (used_s, used_s))
    (tmp_path / "environments" / "new" / "lib").symlink_to(tmp_path / "pictures")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def names(found: list[CacheEntry]) -> list[str]:
    """Return what entries are called."""
    return [entry.path.name for entry in found]


def test_entries_are_what_this_program_keeps(folder: Path) -> None:
    """A model's folder is one entry of its latest use; what others put there is none."""
    found = entries(folder)
    assert names(found) == ["old-1", "mid-2.npz", "new"]
    assert [entry.size_bytes // 1000 for entry in found] == [3, 2, 1]
    assert round((time.time() - found[0].used_s) / DAY_S) == 40


def test_what_is_old_goes_first_and_then_what_is_too_much(folder: Path) -> None:
    """Age and size are limits of their own, and hold together."""
    found = entries(folder)
    month_ago_s = time.time() - 30 * DAY_S
    assert names(outdated(found, unused_since_s=month_ago_s)) == ["old-1"]
    assert names(outdated(found, max_bytes=3500)) == ["old-1"]
    assert names(outdated(found, max_bytes=2000)) == ["old-1", "mid-2.npz"]
    assert names(outdated(found, unused_since_s=month_ago_s, max_bytes=2000)) == [
        "old-1",
        "mid-2.npz",
    ]
    assert outdated(found, max_bytes=10_000) == []


def test_commands_list_prune_and_empty(folder: Path, rtfbench: Command) -> None:
    """Only what was named goes; a link's target, and files that are not of the cache, stay."""
    assert "old-1" in rtfbench("cache").stdout
    assert rtfbench("cache", "list").stdout == rtfbench("cache").stdout
    assert (
        "would delete 1 entry"
        in rtfbench("cache", "prune", "--older-than", "30d", "--dry-run").stdout
    )
    assert len(entries(folder)) == 3
    assert "deleted 1 entry, 0.0 MB" in rtfbench("cache", "prune", "--older-than", "30d").stdout
    assert names(entries(folder)) == ["mid-2.npz", "new"]
    assert rtfbench("cache", "empty").returncode == 0
    assert entries(folder) == []
    assert (folder / "pictures" / "mine.png").is_file()
    assert "0 entries" in rtfbench("cache").stdout


def test_pruning_needs_a_limit(folder: Path, rtfbench: Command) -> None:
    """Without a limit, or with one that cannot be read, nothing goes."""
    for arguments in ([], ["--older-than", "soon"], ["--max-size", "-5"]):
        assert rtfbench("cache", "prune", *arguments).returncode == 2
    assert len(entries(folder)) == 3


def test_times_and_sizes_are_read_as_written() -> None:
    """Units are those that the help shows."""
    assert [seconds(text) for text in ("12h", "30d", "1.5w")] == [43200, 2592000, 907200]
    assert [parse_size(text, "--max-size") for text in ("500MB", "5 gb", "2G", "1000", "0")] == [
        500_000_000,
        5_000_000_000,
        2_000_000_000,
        1000,
        0,
    ]
    for wrong in ("5XB", "", "GB"):
        with pytest.raises(InputError, match="--max-size"):
            parse_size(wrong, "--max-size")


def test_every_variable_is_in_the_table() -> None:
    """The table in `docs/commands.md` has every variable that a source reads."""
    rooms = ("bench", "engines", "frontends", "tests", ".github", ".gitlab", ".ci")
    kinds = {".py", ".sh", ".yml", ".cpp", ".toml", ""}
    files = (path for room in rooms for path in (ROOT / room).rglob("*") if path.suffix in kinds)
    sources = [ROOT / "Makefile", *(path for path in files if path.is_file())]
    found = re.compile(r"RTFBENCH_[A-Z_]*[A-Z]")
    read = {name for path in sources for name in found.findall(path.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(RTFBENCH_\w+)`", page, re.MULTILINE)
    assert set(table) == read
