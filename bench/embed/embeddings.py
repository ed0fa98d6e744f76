"""Files of embeddings by ending: text, `.npz`, `.parquet`, Kaldi's `.ark` with its `.scp`.

All are written and read an utterance at a time.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, held_in_memory
from rtfbench.embed import kaldi_vectors, parquet
from rtfbench.embed.origins import Origin
from rtfbench.engines.protocol import FloatArray

PARQUET = ".parquet"
#: As many digits as a stream of the C++ library prints, and as many as give a float32 back.
TEXT_DIGITS, EXACT_DIGITS = 6, 9


class Named(NamedTuple):
    """An utterance's name and embedding, float32 [D]."""

    name: str
    embedding_D: FloatArray


Rows = Callable[[], Iterator[Named]]
Origins = Callable[[], Iterator[Origin]]
Writer = Callable[[Path, Rows], None]


def text_line(named: Named, digits: int = TEXT_DIGITS) -> str:
    """Return `utterance v1 v2 ...` and the line's end."""
    values = named.embedding_D.tolist()
    return f"{named.name} {_format(len(values), digits) % tuple(values)}\n"


@cache
def _format(count: int, digits: int) -> str:
    # One formatting of all values takes half the time of one formatting each.
    return " ".join([f"%.{digits}g"] * count)


def parse_line(line: str) -> Named:
    """Return what `text_line` wrote.

    Raises:
        ValueError: a value is no number, or there is none.
    """
    name, *values = line.split()
    if values[:1] == ["["] and values[-1] == "]":  # as Kaldi writes a vector in text
        values = values[1:-1]
    if not values:
        raise ValueError("no values")
    embedding_D = np.array(values, np.float32)
    if not np.isfinite(embedding_D).all():
        raise ValueError("a value is not finite")
    return Named(name, embedding_D)


def read_embeddings(path: Path) -> Iterator[Named]:
    """Yield the embeddings of a file in its order; the ending tells the format.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    readers = {
        ".npz": _read_npz,
        ".ark": _read_ark,
        ".scp": _read_scp,
        ".parquet": _read_parquet,
    }
    try:
        check_readable(path)
        with held_in_memory(path):
            yield from readers.get(path.suffix.lower(), _read_text)(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds no embeddings, or damaged ones ({reason})") from error


def write_embeddings(
    path: Path, rows: Rows, part_bytes: int | None = None, origins: Origins | None = None
) -> None:
    """Write a file, atomically; the ending tells the format. The arguments are `writer_for`'s.

    Raises:
        InputError: parts are asked for of another file than Kaldi's.
    """
    (writer_for(path, part_bytes, origins) or _write_text)(path, rows)


def writer_for(
    path: Path, part_bytes: int | None = None, origins: Origins | None = None
) -> Writer | None:
    """Return what writes a file of this ending, None where that is text.

    Args:
        path: the file.
        part_bytes: the size of the parts that an `.ark` is split into; None for one file.
        origins: yields where each embedding is from, which Parquet has columns for.

    Raises:
        InputError: parts are asked for of another file than Kaldi's.
    """
    ending = path.suffix.lower()
    if part_bytes is None:
        if origins is not None and ending == PARQUET:
            return partial(parquet.write_parquet, origins=origins)
        return WRITERS.get(ending)
    if ending not in kaldi_vectors.ENDINGS or part_bytes < 1:
        raise InputError(
            f"{path}: --part-size is a size, and for .ark files: name one for --result"
        )
    return partial(kaldi_vectors.write_ark, part_bytes=part_bytes)


def _write_text(path: Path, rows: Rows) -> None:
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(text_line(named) for named in rows())


def write_npz(path: Path, rows: Rows) -> None:
    """Write arrays `names` [N] and `embeddings` float32 [N, D] without holding them in memory."""
    count = width = dim = 0
    for name, embedding_D in rows():
        count, width, dim = count + 1, max(width, len(name)), len(embedding_D)
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        text = np.dtype(f"<U{width}")
        with archive.open("names.npy", "w", force_zip64=True) as file:
            _npy_header(file, text, (count,))
            for name, _ in rows():
                file.write(np.array(name, text).tobytes())
        with archive.open("embeddings.npy", "w", force_zip64=True) as file:
            _npy_header(file, np.dtype("<f4"), (count, dim))
            for _, embedding_D in rows():
                file.write(embedding_D.astype("<f4").tobytes())


def _npy_header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _read_text(path: Path) -> Iterator[Named]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield parse_line(line)
                except ValueError as error:
                    raise ValueError(
                        f"line {number}: {error}; write: UTTERANCE V1 V2 ..."
                    ) from error


def _read_npz(path: Path) -> Iterator[Named]:
    # numpy closes what it has opened only where all goes well.
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("a single array, or damaged: no archive of names and embeddings")
        file.seek(0)
        stored = np.load(file, allow_pickle=False)
        names, embeddings_ND = stored["names"], stored["embeddings"]
    for name, embedding_D in zip(names, embeddings_ND, strict=True):
        yield Named(str(name), np.asarray(embedding_D, np.float32))


def _read_ark(path: Path) -> Iterator[Named]:
    return (Named(*row) for row in kaldi_vectors.read_ark(path))


def _read_scp(path: Path) -> Iterator[Named]:
    return (Named(*row) for row in kaldi_vectors.read_scp(path))


def _read_parquet(path: Path) -> Iterator[Named]:
    return (Named(*row) for row in parquet.read_parquet(path))


WRITERS: dict[str, Writer] = {
    ".npz": write_npz,
    ".ark": kaldi_vectors.write_ark,
    ".scp": kaldi_vectors.write_ark,
    PARQUET: parquet.write_parquet,
}
