"""Files of embeddings by ending: text, `.npz`, `.parquet`, Kaldi's `.ark` with its `.scp`.

All are written and read an utterance at a time. Where embeddings are from, Parquet tells in columns
of its own, and a file beside the others.
"""

import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, held_in_memory, reading_from
from rtfbench.embed import kaldi_vectors
from rtfbench.engines.protocol import FloatArray

PARQUET = ".parquet"
#: As many digits as a stream of the C++ library prints, and as many as give a float32 back.
TEXT_DIGITS, EXACT_DIGITS = 6, 9
#: Rows of Parquet that are written and read at a time.
ROWS = 4096


class Named(NamedTuple):
    """An utterance's name and embedding, float32 [D]."""

    name: str
    embedding_D: FloatArray


class Origin(NamedTuple):
    """The seconds of audio, and the path or address of its file; None where they are not known."""

    seconds: float | None = None
    source: str | None = None

    def text(self) -> str:
        """Return it in one line, without tabs."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Return what `text` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            seconds, source = json.loads(text)
            return cls(None if seconds is None else float(seconds), source and str(source))
        except (TypeError, RecursionError) as error:
            raise ValueError(f"no origin: {error}") from error


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
    try:
        with reading_from(path), held_in_memory(path):
            check_readable(path)
            read = READERS.get(path.suffix.lower(), _read_text)
            for name, embedding_D in read(path):
                if not np.isfinite(embedding_D).all():
                    raise ValueError(f"{name}: a value is not finite")
                yield Named(name, embedding_D)
    except (ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds no embeddings, or damaged ones ({reason})") from error


def write_embeddings(
    path: Path, rows: Rows, part_bytes: int | None = None, origins: Origins | None = None
) -> None:
    """Write a file, atomically; see `writer_for`."""
    (writer_for(path, part_bytes, origins) or _write_text)(path, rows)


def writer_for(
    path: Path, part_bytes: int | None = None, origins: Origins | None = None
) -> Writer | None:
    """Return what writes a file of this ending, None where that is text.

    An `.ark` may be split into parts of a size; Parquet has columns for where embeddings are from.

    Raises:
        InputError: parts are asked for of another file than Kaldi's.
    """
    ending = path.suffix.lower()
    if part_bytes is None:
        if origins is not None and ending == PARQUET:
            return partial(write_parquet, origins=origins)
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
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield parse_line(line)
                except ValueError as error:
                    raise ValueError(
                        f"line {number}: {error}; write: UTTERANCE V1 V2 ..."
                    ) from error


def _read_npz(path: Path) -> Iterator[tuple[str, FloatArray]]:
    # numpy closes what it has opened only where all goes well.
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("a single array, or damaged: no archive of names and embeddings")
        file.seek(0)
        stored = np.load(file, allow_pickle=False)
        names, embeddings_ND = stored["names"], stored["embeddings"]
    for name, embedding_D in zip(names, embeddings_ND, strict=True):
        yield str(name), np.asarray(embedding_D, np.float32)


def write_parquet(path: Path, rows: Rows, origins: Origins = lambda: repeat(Origin())) -> None:
    """Write columns `key`, `embedding` (a list of D float32), `seconds` and `source`.

    Raises:
        InputError: pyarrow is not installed.
    """
    pyarrow = _pyarrow(path)
    dim = next((len(embedding_D) for _, embedding_D in rows()), 0)
    schema = pyarrow.schema(
        {
            "key": pyarrow.string(),
            "embedding": pyarrow.list_(pyarrow.float32(), dim),
            "seconds": pyarrow.float64(),
            "source": pyarrow.string(),
        }
    )
    left, told = rows(), origins()
    with (
        replacing(path) as part,
        pyarrow.parquet.ParquetWriter(part, schema, write_page_checksum=True) as writer,
    ):
        while some := list(islice(left, ROWS)):
            names, embeddings = zip(*some, strict=True)
            seconds, sources = zip(*islice(told, len(some)), strict=True)
            values = pyarrow.FixedSizeListArray.from_arrays(np.concatenate(embeddings), dim)
            columns = {"key": names, "embedding": values, "seconds": seconds, "source": sources}
            writer.write_table(pyarrow.table(columns, schema=schema))


def _read_parquet(path: Path) -> Iterator[tuple[str, FloatArray]]:
    pyarrow = _pyarrow(path)
    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(ROWS, columns=["key", "embedding"]):
            names = batch.column("key").to_pylist()
            for name, embedding in zip(names, batch.column("embedding"), strict=True):
                yield name, np.asarray(embedding.values.to_numpy(), np.float32)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow; install it with: pip install 'rtfbench[parquet]'"
        ) from error
    return pyarrow


READERS: dict[str, Callable[[Path], Iterator[tuple[str, FloatArray]]]] = {
    ".npz": _read_npz,
    ".ark": kaldi_vectors.read_ark,
    ".scp": kaldi_vectors.read_scp,
    PARQUET: _read_parquet,
}
WRITERS: dict[str, Writer] = {
    ".npz": write_npz,
    ".ark": kaldi_vectors.write_ark,
    ".scp": kaldi_vectors.write_ark,
    PARQUET: write_parquet,
}


def origins_path(path: Path) -> Path:
    """Return the file beside embeddings that tells where they are from."""
    return path.with_name(f"{path.name}.origins")


def write_origins(path: Path, origins: Iterable[Origin]) -> None:
    """Write one a line, atomically."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(f"{origin.text()}\n" for origin in origins)


def read_origins(path: Path) -> Iterator[Origin]:
    """Yield what a file tells; without a file, that they are not known, again and again.

    Raises:
        InputError: it is damaged.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            yield from map(Origin.parse, lines)
    except FileNotFoundError:
        yield from repeat(Origin())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); delete it") from error


def read_parquet_origins(path: Path) -> Iterator[Origin]:
    """Yield where the embeddings are from; of files without these columns that is not known.

    Raises:
        InputError: pyarrow is not installed.
        OSError, ValueError: the file cannot be read, or is damaged.
    """
    with _pyarrow(path).parquet.ParquetFile(path) as file:
        if not {*Origin._fields} <= set(file.schema_arrow.names):
            yield from repeat(Origin())
            return
        for batch in file.iter_batches(ROWS, columns=list(Origin._fields)):
            columns = (batch.column(name).to_pylist() for name in Origin._fields)
            yield from map(Origin._make, zip(*columns, strict=True))
