"""Parquet files with a column of audio, as Hugging Face's datasets are stored."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rtfbench.base.cache import fingerprint, sha256_of
from rtfbench.frontends.addresses import Place, size_bytes
from rtfbench.frontends.audio import audio_error
from rtfbench.inputs.find import Listing, Utterance, check_names, utterance_name
from rtfbench.inputs.parts import Column, Part, open_parquet, within

#: Columns that name an utterance, the first of them that is there.
NAMES = ("key", "utt_id", "utterance", "id")
#: Rows whose names are read at a time.
ROWS = 4096


def from_parquet(path: Place) -> Listing:
    """Return the recordings in a file's column of audio.

    That is the first column of `{bytes, path}`, or of bytes. Utterances are named by a column
    `key`, `utt_id`, `utterance` or `id`, else by the path's stem, else by the row.

    Raises:
        AudioError: there is no such column, the file is damaged, or two have one name.
    """
    with open_parquet(path) as file:
        column, namer = _columns(path, file)

    def names() -> Iterator[str]:
        with open_parquet(path) as file:
            try:
                yield from _names(file, namer)
            except (OSError, ValueError) as error:  # pyarrow's own are of these kinds
                raise audio_error(path, f"is damaged ({error}); copy it again") from error

    def read(first: int, stop: int) -> Iterator[Utterance]:
        with open_parquet(path) as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            places = ((group, row) for group, rows in enumerate(groups) for row in range(rows))
            named = zip(_names(file, namer), places, strict=True)
            for name, (group, row) in islice(named, first, stop):
                yield Utterance(name, path, Part(column=column, row_group=group, row=row))

    count = check_names(path, lambda: enumerate(names(), start=1), "rows")
    if not count:
        raise audio_error(path, "has no row; export it again")
    return Listing(count=count, sha256=_sha256(path, count), read=read, names=names)


def _sha256(path: Place, count: int) -> str:
    """Return a file's hash; what is at an address is not read whole for that."""
    if isinstance(path, Path):
        return sha256_of(path)
    return fingerprint((), (), str(path), str(size_bytes(path)), str(count))


def _columns(path: Place, file: Any) -> tuple[Column, Column]:
    """Return the column of audio bytes and the one of names, empty where rows have none.

    Either is a name or, within a struct, two: a name itself may hold any character.
    """
    import pyarrow

    schema = file.schema_arrow
    names: Column = next(((name,) for name in NAMES if name in schema.names), ())
    for field in schema:
        if pyarrow.types.is_struct(field.type):
            children = {child.name for child in field.type}
            if "bytes" in children:
                inside: Column = (field.name, "path") if "path" in children else ()
                return (field.name, "bytes"), names or inside
        is_bytes = pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type)
        if is_bytes and (field.name,) != names:
            return (field.name,), names
    raise audio_error(
        path, f"has no column of audio bytes (columns: {', '.join(schema.names)}); embed the audio"
    )


def _names(file: Any, column: Column) -> Iterator[str]:
    """Yield each row's name."""
    if not column:
        yield from (f"row-{row:09}" for row in range(file.metadata.num_rows))
        return
    row = 0
    for batch in file.iter_batches(ROWS, columns=[".".join(column)]):
        for value in within(batch, column).to_pylist():
            text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
            name = "" if text is None else str(text)
            yield utterance_name(Path(name).stem if len(column) > 1 else name) or f"row-{row:09}"
            row += 1
