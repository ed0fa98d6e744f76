"""What tests of properties share."""

from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

_NUMBERS = count()


@cache
def _folder() -> "TemporaryDirectory[str]":
    """Make the folder of these tests, which goes when they end."""
    return TemporaryDirectory(prefix="properties-")


def written(content: bytes | str, name: str = "file") -> Path:
    """Write a file into a folder of its own, which stays until the tests end."""
    folder = Path(_folder().name) / str(next(_NUMBERS))
    folder.mkdir()
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
