"""What a command may write: never over one of its inputs, and never in place of a device."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.base.errors import InputError


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, by name or through links of either kind.

    Args:
        outputs: files that will be written or deleted; those that are not there yet are no inputs.
        inputs: files that are read, in any number; None was not named.

    Raises:
        InputError: naming both.
    """
    existing = {key: path for path in outputs for key in [_key(path)] if key is not None}
    if not existing:
        return
    for given in inputs:
        key = None if given is None else _key(given)
        output = None if key is None else existing.get(key)
        if output is not None:
            what = f"{output}: " + ("is an input" if output == given else f"is the input {given}")
            raise InputError(f"{what}, which writing here would destroy; name another file")


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


def is_special(path: Path) -> bool:
    """Say whether a path is a device, a FIFO or a socket, which is written to and not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _key(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL byte in a name
        return None
    return found.st_dev, found.st_ino
