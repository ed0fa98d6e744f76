"""Files that commands read and write: no waiting on what never ends, no writing over an input."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rtfbench.base.errors import InputError


def followed(path: Path) -> Path:
    """Return a path without links; one that leads in a circle as far as it can be followed.

    `Path.resolve` raises a RuntimeError there, which no caller expects; to open this one is an
    OSError that says so.
    """
    return Path(os.path.realpath(path))


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, by name or through links of either kind.

    Outputs will be written or deleted; those that are not there yet are no inputs.

    Raises:
        InputError: naming both.
    """
    existing = {key: path for path in outputs if (key := _key(path))}
    for given in inputs if existing else ():
        if given and (output := existing.get(_key(given))):
            what = f"{output}: " + ("is an input" if output == given else f"is the input {given}")
            raise InputError(f"{what}, and writing there would destroy it; name another file")


@contextmanager
def writing_to(place: Path) -> Iterator[None]:
    """Let a user know that a place cannot be written to, in one line.

    Raises:
        InputError: the system refused within the block.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{place}: cannot write here ({error.strerror})") from error


@contextmanager
def reading_from(place: Path | None = None) -> Iterator[None]:
    """Let a user know that a place cannot be read, in one line; without one, which place it is.

    Raises:
        InputError: the system refused within the block.
    """
    try:
        yield
    except OSError as error:
        said = error.strerror or error
        raise InputError(f"{place or error.filename}: cannot be read ({said})") from error


@contextmanager
def held_in_memory(path: Path) -> Iterator[None]:
    """Let a user know which file takes more memory than there is, in one line.

    Raises:
        InputError: memory ran out within the block.
    """
    try:
        yield
    except MemoryError as error:
        raise InputError(
            f"{path}: takes more memory than there is; free some, or name a smaller file"
        ) from error


def is_special(path: Path) -> bool:
    """Say whether a path is a device, a FIFO or a socket, which is written to and not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _key(path: Path) -> tuple[int, ...]:
    """Return what tells a file from all others, nothing where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL byte in a name
        return ()
    return found.st_dev, found.st_ino


#: What a shell hands over: somebody writes at the other end.
FROM_SHELLS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


def check_readable(path: Path) -> None:
    """Refuse devices, and FIFOs that no shell made: to open one waits for a writer.

    Raises:
        InputError: it is one.
        OSError: it cannot be looked at.
    """
    if is_special(path) and not str(path).startswith(FROM_SHELLS):
        raise InputError(f"{path}: is no regular file; write what it holds to one and name that")


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return a file's text.

    Raises:
        InputError: it is a device or a FIFO, or larger than the memory.
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    check_readable(path)
    with held_in_memory(path):
        return path.read_text(encoding=encoding)


def read_bytes(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        InputError: it is larger than the memory.
        OSError: it cannot be read.
    """
    with held_in_memory(path):
        return path.read_bytes()


def system_text(path: Path) -> str | None:
    """Return what a file of the kernel's says, without blanks around it; None where none is."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return None


MB = 1_000_000


def check_room(place: Path, needed_bytes: int, *, what: str, named_by: str) -> None:
    """Refuse a place on a disk that is too full.

    Args:
        place: a file or folder, which need not be there yet.
        needed_bytes: what it takes at least: a guess that is too low refuses nothing in vain.
        what: needs it, for the message.
        named_by: the option or variable that names another place.

    Raises:
        InputError: there is less; one line with both figures.
    """
    free = free_bytes(place)
    if free is not None and free < needed_bytes:
        raise InputError(
            f"{place}: {what} takes {_told(needed_bytes)} at least, and its disk has "
            f"{_told(free)} left; make room, or name another place with {named_by}"
        )


def free_bytes(place: Path) -> int | None:
    """Return what a place's disk has left for us, None where the system does not tell."""
    for folder in (place, *place.absolute().parents):
        try:
            found = os.statvfs(folder)
        except (OSError, ValueError):  # not there yet; or a name that cannot be
            continue
        # Some file systems of networks tell no sizes at all.
        return found.f_bavail * found.f_frsize if found.f_blocks else None
    return None


def _told(size_bytes: int) -> str:
    return f"{max(size_bytes, 0) / MB:,.1f} MB"
