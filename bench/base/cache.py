"""Where made files are kept, and names that change when what made them changes."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile

from platformdirs import user_cache_path

from bench.base.errors import InputError
from bench.base.links import followed
from bench.base.modules import ROOT
from bench.base.outputs import is_special
from bench.base.scratch import held_folder

CACHE_VARIABLE = "RTFBENCH_CACHE"


def cache_folder() -> Path:
    """Return the cache folder: `RTFBENCH_CACHE`, or the platform's place for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else user_cache_path("rtfbench")


def check_cache() -> None:
    """Refuse a cache folder that nothing can be written to.

    Raises:
        InputError: it cannot be made, or not be written to, or its name is no text.
    """
    folder = cache_folder()
    try:
        str(folder).encode()
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not UTF-8"
        shown = str(folder).encode(errors="backslashreplace").decode()
        raise InputError(
            f"{shown}: what is made once is kept here, and cannot be ({reason}); name another "
            f"folder in {CACHE_VARIABLE}"
        ) from error


def fingerprint(sources: Iterable[str], packages: Iterable[str], *values: str) -> str:
    """Return a name that changes with the sources, package versions or values given.

    Args:
        sources: files of this project that matter, by their path from its root.
        packages: distributions whose version matters.
        values: whatever else does.
    """
    digest = hashlib.sha256()
    for source in sorted(set(sources)):
        digest.update(source.encode() + b"\0" + (ROOT / source).read_bytes())
    for package in packages:
        try:
            digest.update(f"{package}=={version(package)}\0".encode())
        except PackageNotFoundError:
            digest.update(f"{package} absent\0".encode())
    digest.update("\0".join(values).encode())
    return digest.hexdigest()[:16]


def sha256_of(path: Path, *more: Path) -> str:
    """Return the SHA-256 of a file's content; of several files, that of their SHA-256s."""
    if more:
        digests = "".join(sha256_of(each) for each in (path, *more))
        return hashlib.sha256(digests.encode()).hexdigest()
    stat = path.stat()
    return _sha256_of(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _sha256_of(path: Path, *_: int) -> str:
    """Read a file once a process, as long as it is the same by its number, size and time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Write a file's SHA-256 beside it, so that `intact` can tell damage."""
    with replacing(_seal_of(path)) as part:
        part.write_text(sha256_of(path) + "\n", encoding="ascii")


def intact(path: Path) -> bool:
    """Say whether a sealed file is there, and is what it was when it was sealed."""
    try:
        return _seal_of(path).read_text(encoding="ascii").strip() == sha256_of(path)
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
