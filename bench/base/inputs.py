"""Files that are read whole: what never ends, or never begins, is refused before it is opened."""

from pathlib import Path

from bench.base.errors import InputError
from bench.base.outputs import is_special

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
        InputError: it is a device or a FIFO.
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    check_readable(path)
    return path.read_text(encoding=encoding)
