"""The folder that an explanation is written to."""

from collections.abc import Mapping
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.measure.whole_run import default_folder


def folder_for(out: Path | None, result: str, *, overwrite: bool) -> Path:
    """Return the folder that is asked for, or one of the date; nothing is made yet.

    Args:
        out: as it was asked for.
        result: the file that a folder with a result has.
        overwrite: whether that may be replaced.

    Raises:
        InputError: it is no folder, or holds a result.
    """
    folder = out or default_folder("explain-")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name another --out")
    if (folder / result).exists() and not overwrite:
        raise InputError(f"{folder}: holds a result; name another --out, or --overwrite it")
    return folder


def write(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write files by name, each as a whole; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with replacing(folder / name) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
