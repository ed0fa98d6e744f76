"""The folder that an explanation is written to."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.outputs import writing_to
from bench.base.values import Value
from bench.measure.whole_run import default_folder
from bench.report.plots.style import Picture


def folder_for(out: Path | None, result: str, *, overwrite: bool) -> Path:
    """Return the folder that is asked for, or one of the date, made and found to be writable.

    What takes minutes should not end at a folder that could have been looked at before.

    Args:
        out: as it was asked for.
        result: the file that a folder with a result has.
        overwrite: whether that may be replaced.

    Raises:
        InputError: it is no folder, cannot be written to, or holds a result.
    """
    folder = out or default_folder("explain-")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name another --out")
    if (folder / result).exists() and not overwrite:
        raise InputError(f"{folder}: holds a result; name another --out, or --overwrite it")
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    return folder


def write(
    folder: Path,
    *,
    text: tuple[str, str],
    figures: tuple[str, Value],
    pictures: Sequence[Picture] = (),
) -> None:
    """Write a result, each file as a whole; it was printed before, because this may fail.

    Args:
        folder: where to, as `folder_for` made it.
        text: the report's name and content.
        figures: the same of what is behind it; where that is, all is.
        pictures: each becomes two files.
    """
    contents = {text[0]: text[1].encode()}
    for picture in pictures:
        contents |= {f"{picture.name}.png": picture.png, f"{picture.name}.svg": picture.svg}
    contents[figures[0]] = (figures[1].model_dump_json(indent=2) + "\n").encode()
    for name, content in contents.items():
        with writing_to(folder), replacing(folder / name) as part:
            part.write_bytes(content)
