"""Files of embeddings by ending: text, `.npz`, `.parquet`, Kaldi's `.ark` with its `.scp`.

All are written and read an utterance at a time. Kaldi's binary vectors are written and read here:
the packages that do it run commands and unpickle objects that a file names.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.inputs import check_readable
from bench.embed import parquet
from engines.protocol import FloatArray

#: As many digits as a stream of the C++ library prints, and as many as give a float32 back.
TEXT_DIGITS, EXACT_DIGITS = 6, 9
KALDI_TYPES: dict[bytes, np.dtype[Any]] = {b"FV ": np.dtype("<f4"), b"DV ": np.dtype("<f8")}


class Named(NamedTuple):
    """An utterance's name and embedding, float32 [D]."""

    name: str
    embedding_D: FloatArray


Rows = Callable[[], Iterator[Named]]


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
        yield from readers.get(path.suffix.lower(), _read_text)(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds no embeddings, or damaged ones ({reason})") from error


def write_embeddings(path: Path, rows: Rows) -> None:
    """Write a file, atomically; the ending tells the format."""
    WRITERS.get(path.suffix.lower(), _write_text)(path, rows)


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


def write_ark(path: Path, rows: Rows) -> None:
    """Write binary Kaldi vectors to `.ark`, and where each is to the `.scp` beside it."""
    ark, scp = path.with_suffix(".ark"), path.with_suffix(".scp")
    # The innermost is closed first: there is no `.scp` before its `.ark`.
    with (
        replacing(scp) as scp_part,
        scp_part.open("w", encoding="utf-8") as places,
        replacing(ark) as ark_part,
        ark_part.open("wb") as file,
    ):
        for name, embedding_D in rows():
            file.write(name.encode() + b" ")
            places.write(f"{name} {ark.resolve()}:{file.tell()}\n")
            file.write(b"\0BFV \4" + struct.pack("<i", len(embedding_D)))
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
        stored = np.load(file, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError("a single array, and no archive of names and embeddings")
        names, embeddings_ND = stored["names"], stored["embeddings"]
    for name, embedding_D in zip(names, embeddings_ND, strict=True):
        yield Named(str(name), np.asarray(embedding_D, np.float32))


def _read_ark(path: Path) -> Iterator[Named]:
    with path.open("rb") as file:
        while name := _word(file):
            yield Named(name, _vector(file))


def _read_scp(path: Path) -> Iterator[Named]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, _, place = line.strip().partition(" ")
            ark, _, offset = place.strip().rpartition(":")
            if not ark or not offset.isdecimal():
                raise ValueError(f"line {number}: need UTTERANCE FILE.ark:OFFSET")
            with Path(ark).open("rb") as file:
                file.seek(int(offset))
                yield Named(name, _vector(file))


def _word(file: IO[bytes]) -> str:
    """Read up to a space; empty at the end of the file."""
    word = b""
    while (byte := file.read(1)) not in (b" ", b""):
        word += byte
    return word.decode().strip()


def _vector(file: IO[bytes]) -> FloatArray:
    """Read a vector as Kaldi writes it in binary: NUL B, type, size of the size, size, values."""
    mark, kind, size_bytes = file.read(2), file.read(3), file.read(1)
    if mark != b"\0B" or kind not in KALDI_TYPES or size_bytes != b"\4":
        raise ValueError("not a binary Kaldi vector")
    (size,) = struct.unpack("<i", file.read(4))
    dtype = KALDI_TYPES[kind]
    content = file.read(size * dtype.itemsize) if size > 0 else b""
    if not content or len(content) != size * dtype.itemsize:
        raise ValueError("cut off")
    return np.array(np.frombuffer(content, dtype), np.float32)


def _read_parquet(path: Path) -> Iterator[Named]:
    return (Named(*row) for row in parquet.read_parquet(path))


WRITERS = {
    ".npz": write_npz,
    ".ark": write_ark,
    ".scp": write_ark,
    ".parquet": parquet.write_parquet,
}
