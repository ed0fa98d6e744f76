"""What is in the cache folder, and taking of it what is old or too much.

Everything in it is made again when it is needed. Only what this program puts there is looked at:
the variable may name a folder in which other things lie too.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Folder -> what lies in it, an entry each.
KINDS = {
    "models": "exported and converted models",
    "descriptions": "what model files say of themselves",
    "references": "embeddings that engines are compared with",
    "environments": "pinned packages and revisions of gates",
    "native": "compiled interfaces to libraries of your own",
    "logs": "what preparing processes printed",
}


@dataclass(frozen=True)
class Entry:
    """A file or folder of the cache.

    Attributes:
        kind: a key of `KINDS`.
        path: where it is.
        size_bytes: of all its files.
        used_s: when it was last read or written, seconds since the epoch. Systems that note reads
            once a day make this up to a day early.
    """

    kind: str
    path: Path
    size_bytes: int
    used_s: float


def entries(folder: Path) -> list[Entry]:
    """Return what is in a cache folder, the longest unused first."""
    found = [
        _entry(kind, path)
        for kind in KINDS
        if (folder / kind).is_dir()
        for path in sorted((folder / kind).iterdir())
    ]
    return sorted(found, key=lambda entry: entry.used_s)


def outdated(
    found: Sequence[Entry], *, unused_since_s: float | None = None, max_bytes: int | None = None
) -> list[Entry]:
    """Return which entries have to go (pure).

    Args:
        found: what is there, the longest unused first.
        unused_since_s: what was last used before this time goes.
        max_bytes: then, of what is left, the longest unused goes until no more than this is.
    """
    going = [each for each in found if unused_since_s is not None and each.used_s < unused_since_s]
    left = [each for each in found if each not in going]
    size_bytes = sum(each.size_bytes for each in left)
    for each in left:
        if max_bytes is None or size_bytes <= max_bytes:
            break
        going.append(each)
        size_bytes -= each.size_bytes
    return going


def remove(going: Iterable[Entry]) -> None:
    """Delete entries; one that is gone already is no fault.

    Raises:
        OSError: one cannot be deleted.
    """
    for each in going:
        if each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path)
        else:
            each.path.unlink(missing_ok=True)


def _entry(kind: str, path: Path) -> Entry:
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    stats = [each.lstat() for each in (path, *inside) if not each.is_dir() or each.is_symlink()]
    if not stats:
        return Entry(kind, path, 0, path.lstat().st_mtime)
    used_s = max(max(stat.st_atime, stat.st_mtime) for stat in stats)
    return Entry(kind, path, sum(stat.st_size for stat in stats), used_s)
