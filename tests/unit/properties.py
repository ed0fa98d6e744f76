"""What tests of properties share."""

from pathlib import Path
from tempfile import TemporaryDirectory

_KEPT: list[TemporaryDirectory[str]] = []


def written(content: bytes | str, name: str = "file") -> Path:
    """Write a file into a folder of its own, which stays until the tests end."""
    folder = TemporaryDirectory(prefix="properties-")
    _KEPT.append(folder)
    path = Path(folder.name) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
