"""Embeddings in Parquet: columns `key`, `embedding` (a list of D float32), `seconds`, `source`."""

from collections.abc import Callable, Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError
from rtfbench.embed.origins import Origin
from rtfbench.engines.protocol import FloatArray

#: Rows that are written and read at a time.
ROWS = 4096


def write_parquet(
    path: Path,
    rows: Callable[[], Iterator[tuple[str, FloatArray]]],
    origins: Callable[[], Iterator[Origin]] = lambda: repeat(Origin()),
) -> None:
    """Write embeddings, a batch at a time.

    Args:
        path: the file.
        rows: yields names and embeddings.
        origins: yields where each is from.

    Raises:
        InputError: pyarrow is not installed.
    """
    pyarrow = _pyarrow(path)
    dim = next((len(embedding_D) for _, embedding_D in rows()), 0)
    kind = pyarrow.list_(pyarrow.float32(), dim)
    schema = pyarrow.schema(
        [
            ("key", pyarrow.string()),
            ("embedding", kind),
            ("seconds", pyarrow.float64()),
            ("source", pyarrow.string()),
        ]
    )
    told = origins()
    with (
        replacing(path) as part,
        pyarrow.parquet.ParquetWriter(part, schema, write_page_checksum=True) as writer,
    ):
        for names, embeddings_ND in _batches(rows()):
            values = pyarrow.FixedSizeListArray.from_arrays(embeddings_ND.ravel(), dim)
            seconds, sources = zip(*islice(told, len(names)), strict=True)
            columns = [
                pyarrow.array(names, pyarrow.string()),
                values,
                pyarrow.array(seconds, pyarrow.float64()),
                pyarrow.array(sources, pyarrow.string()),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def read_parquet(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield what `write_parquet` wrote.

    Raises:
        InputError: pyarrow is not installed.
        ValueError: the file is damaged, or has no such columns.
        OSError: it cannot be read.
    """
    pyarrow = _pyarrow(path)
    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(ROWS, columns=["key", "embedding"]):
            names = batch.column("key").to_pylist()
            for name, embedding in zip(names, batch.column("embedding"), strict=True):
                yield name, np.asarray(embedding.values.to_numpy(), np.float32)


def read_parquet_origins(path: Path) -> Iterator[Origin]:
    """Yield where the embeddings are from; of files without these columns that is not known.

    Raises:
        InputError: pyarrow is not installed.
        OSError, ValueError: the file cannot be read, or is damaged.
    """
    pyarrow = _pyarrow(path)
    with pyarrow.parquet.ParquetFile(path) as file:
        if not {*Origin._fields} <= set(file.schema_arrow.names):
            yield from repeat(Origin())
            return
        for batch in file.iter_batches(ROWS, columns=list(Origin._fields)):
            columns = (batch.column(name).to_pylist() for name in Origin._fields)
            yield from map(Origin._make, zip(*columns, strict=True))


def _batches(
    rows: Iterator[tuple[str, FloatArray]],
) -> Iterator[tuple[list[str], FloatArray]]:
    names: list[str] = []
    embeddings: list[FloatArray] = []
    for name, embedding_D in rows:
        names.append(name)
        embeddings.append(embedding_D)
        if len(names) == ROWS:
            yield names, np.stack(embeddings)
            names, embeddings = [], []
    if names:
        yield names, np.stack(embeddings)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow; install it with: pip install 'rtfbench[parquet]'"
        ) from error
    return pyarrow
