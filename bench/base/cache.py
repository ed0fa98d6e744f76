"""Where made files are kept, and names that change when what made them changes."""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile

from platformdirs import user_cache_path

from rtfbench.base import packages
from rtfbench.base.errors import InputError
from rtfbench.base.files import followed, is_special
from rtfbench.base.scratch import held_folder

CACHE_VARIABLE = "RTFBENCH_CACHE"
#: What a mode has where its group or everybody may write.
OTHERS_WRITE = 0o022
CURE = f"name a folder of your own in {CACHE_VARIABLE}"


def cache_folder() -> Path:
    """Return the cache folder: `RTFBENCH_CACHE`, or the platform's place for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else user_cache_path("rtfbench")


def cache_room(*names: str) -> Path:
    """Return a folder of the cache that is ours alone, made where it is missing.

    What lies in it is run or believed, so nobody else may write to it nor to those that it lies in.
    One that cannot be made is for whoever writes there to tell of.

    Raises:
        InputError: one of them is a link or somebody else's, or others may write to it.
    """
    folder = cache_folder()
    _check_own(folder)
    for name in names:
        folder /= name
        if os.path.islink(folder):  # noqa: PTH114  # no name is too long
            raise InputError(f"{folder}: is a link, which no folder of a cache is; {CURE}")
        _check_own(folder)
    return folder


def is_own(path: Path) -> bool:
    """Say whether a path is a file of ours, and no link.

    Raises:
        OSError: there is none.
    """
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _check_own(folder: Path) -> None:
    with suppress(OSError, ValueError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = folder.stat()
    except (OSError, ValueError):
        return
    if stat.S_ISDIR(found.st_mode) and (
        found.st_uid != os.geteuid() or found.st_mode & OTHERS_WRITE
    ):
        raise InputError(f"{folder}: others may write here, and what lies here is run; {CURE}")


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process makes what lies here; its lock is a file beside it."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_cache() -> None:
    """Refuse a cache folder that nothing can be written to.

    Raises:
        InputError: it cannot be made, or not be written to, or its name is no text.
    """
    folder = cache_folder()
    try:
        str(folder).encode()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not UTF-8"
        shown = str(folder).encode(errors="backslashreplace").decode()
        raise InputError(
            f"{shown}: what is made once is kept here, and cannot be ({reason}); name another "
            f"folder in {CACHE_VARIABLE}"
        ) from error


def fingerprint(rooms: Iterable[str], packages: Iterable[str], *values: str) -> str:
    """Return a name that changes with the code, package versions or values given.

    Args:
        rooms: parts of this project that matter, such as `models` or `frontends`.
        packages: distributions whose version matters.
        values: whatever else does.
    """
    digest = hashlib.sha256()
    for room in rooms:
        digest.update(_code_of(room))
    for package in packages:
        try:
            digest.update(f"{package}=={version(package)}\0".encode())
        except PackageNotFoundError:
            digest.update(f"{package} absent\0".encode())
    digest.update("\0".join(values).encode())
    return digest.hexdigest()[:16]


@cache
def _code_of(room: str) -> bytes:
    """Return a digest of the code of a room."""
    digest = hashlib.sha256()
    for path in packages.sources(room):
        digest.update(f"{room} {path.name}\0".encode() + path.read_bytes())
    return digest.digest()


def sha256_of(path: Path, *more: Path) -> str:
    """Return the SHA-256 of a file's content; of several files, that of their SHA-256s."""
    if more:
        digests = "".join(sha256_of(each) for each in (path, *more))
        return hashlib.sha256(digests.encode()).hexdigest()
    stat = path.stat()
    return _sha256_of(path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _sha256_of(path: Path, *_: int) -> str:
    """Read a file once a process, as long as it is the same by its number, size and time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Write a file's SHA-256 beside it, so that `intact` can tell damage."""
    write_whole(_seal_of(path), sha256_of(path) + "\n")


def intact(path: Path) -> bool:
    """Say whether a sealed file is there, is ours, and is what it was when it was sealed."""
    try:
        ours = is_own(path) and is_own(_seal_of(path))
        return ours and _seal_of(path).read_text(encoding="ascii").strip() == sha256_of(path)
    except (OSError, UnicodeDecodeError):
        return False


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it becomes `path` at the end, or vanishes after an error.

    A link is followed, and stays. A device or FIFO is written to as it is.

    Raises:
        OSError: nothing can be written there; links that lead in a circle are no place.
    """
    if path.is_symlink():
        path = followed(path)
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if is_special(path):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with held_folder(path.parent) as folder:
        # The name stays: some writers append an ending, or choose the format by it.
        part = folder / path.name
        yield part
        part.replace(path)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is whole or not there, text as UTF-8; see `replacing`.

    Raises:
        OSError: nothing can be written there.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


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
class CacheEntry:
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


def entries(folder: Path) -> list[CacheEntry]:
    """Return what is in a cache folder, the longest unused first."""
    found = [
        _entry(kind, path)
        for kind in KINDS
        if (folder / kind).is_dir() and not (folder / kind).is_symlink()
        for path in sorted((folder / kind).iterdir())
        if path.suffix != ".lock"
    ]
    return sorted(found, key=lambda entry: entry.used_s)


def outdated(
    found: Sequence[CacheEntry],
    *,
    unused_since_s: float | None = None,
    max_bytes: int | None = None,
) -> list[CacheEntry]:
    """Return which entries have to go (pure).

    Args:
        found: what is there, the longest unused first.
        unused_since_s: what was last used before this time goes.
        max_bytes: then, of what is left, the longest unused goes until no more than this is.
    """
    going, size_bytes = [], sum(each.size_bytes for each in found)
    for each in found:
        is_old = unused_since_s is not None and each.used_s < unused_since_s
        if not is_old and (max_bytes is None or size_bytes <= max_bytes):
            break
        going.append(each)
        size_bytes -= each.size_bytes
    return going


def remove(going: Iterable[CacheEntry]) -> None:
    """Delete entries; one that is gone already is no fault.

    Raises:
        OSError: one cannot be deleted.
    """
    for each in going:
        if each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path)
        else:
            each.path.unlink(missing_ok=True)


def _entry(kind: str, path: Path) -> CacheEntry:
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    stats: list[os.stat_result] = []
    for each in (path, *inside):
        with suppress(FileNotFoundError):  # a run makes and moves files meanwhile
            if not each.is_dir() or each.is_symlink():
                stats.append(each.lstat())
    if not stats:
        return CacheEntry(kind, path, 0, path.lstat().st_mtime if path.exists() else 0.0)
    used_s = max(max(stat.st_atime, stat.st_mtime) for stat in stats)
    return CacheEntry(kind, path, sum(stat.st_size for stat in stats), used_s)
