"""Files of embeddings: every format gives back what was written, as Kaldi's own readers see it."""

import pickle
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import kaldiio
import numpy as np
import pyarrow.parquet
import pytest

from rtfbench.base.errors import InputError
from rtfbench.embed.embeddings import (
    EXACT_DIGITS,
    Named,
    Origin,
    origins_path,
    parse_line,
    read_embeddings,
    read_origins,
    read_parquet_origins,
    text_line,
    write_embeddings,
    write_npz,
    write_origins,
    write_parquet,
)
from rtfbench.embed.kaldi_vectors import write_ark

RNG = np.random.default_rng(5)
ROWS = [
    Named(name, RNG.normal(0, 10.0**power, 16).astype(np.float32))
    for name, power in [("a", 0), ("b/ü.wav", -6), ("c-with-a-long-name", 5)]
]


def rows() -> Iterator[Named]:
    """Yield the rows anew."""
    return iter(ROWS)


def assert_equal(found: list[Named]) -> None:
    """Names, order and every bit are those of `ROWS`."""
    assert [name for name, _ in found] == [name for name, _ in ROWS]
    for (_, got), (_, want) in zip(found, ROWS, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("ending", ["npz", "ark", "scp"])
def test_binary_formats_are_exact(tmp_path: Path, ending: str) -> None:
    """What was written comes back to the last bit."""
    path = tmp_path / f"x.{ending}"
    (write_npz if ending == "npz" else write_ark)(path, rows)
    assert_equal(list(read_embeddings(path)))
    left = {"npz": {"x.npz"}}.get(ending, {"x.ark", "x.scp"})
    assert {each.name for each in tmp_path.iterdir()} == left


def test_npz_is_numpys(tmp_path: Path) -> None:
    """The archive is what `np.savez` would have written, and needs no pickle."""
    write_npz(tmp_path / "x.npz", rows)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        assert stored["names"].tolist() == [name for name, _ in ROWS]
        np.testing.assert_array_equal(stored["embeddings"], np.stack([row for _, row in ROWS]))


def test_kaldi_files_are_kaldis(tmp_path: Path) -> None:
    """An independent reader finds every vector through `.scp` and `.ark`, and we read its files."""
    write_ark(tmp_path / "x.ark", rows)
    assert_equal([Named(*pair) for pair in kaldiio.load_ark(str(tmp_path / "x.ark"))])
    assert_equal([Named(*pair) for pair in kaldiio.load_scp(str(tmp_path / "x.scp")).items()])
    ark, scp = tmp_path / "k.ark", tmp_path / "k.scp"
    kaldiio.save_ark(str(ark), dict(ROWS), scp=str(scp))
    assert_equal(list(read_embeddings(ark)))
    assert_equal(list(read_embeddings(scp)))
    doubles = {name: row.astype(np.float64) for name, row in ROWS}
    kaldiio.save_ark(str(tmp_path / "d.ark"), doubles)
    assert_equal(list(read_embeddings(tmp_path / "d.ark")))


def test_an_ark_in_parts_is_one_list(tmp_path: Path) -> None:
    """Each part is as large as it may be; other readers and ours find all through the `.scp`."""
    write_ark(tmp_path / "x.ark", rows)
    whole = (tmp_path / "x.ark").read_bytes()
    write_embeddings(tmp_path / "x.ark", rows, part_bytes=170)
    parts = [tmp_path / "x.1.ark", tmp_path / "x.2.ark"]
    assert {each.name for each in tmp_path.iterdir()} == {"x.1.ark", "x.2.ark", "x.scp"}
    assert [len(list(read_embeddings(each))) for each in parts] == [2, 1]
    assert b"".join(each.read_bytes() for each in parts) == whole
    assert_equal(list(read_embeddings(tmp_path / "x.scp")))
    assert_equal([Named(*pair) for pair in kaldiio.load_scp(str(tmp_path / "x.scp")).items()])
    (tmp_path / "x.3.ark").touch()  # somebody else's: no list of ours names it
    write_ark(tmp_path / "x.ark", rows)
    assert {each.name for each in tmp_path.iterdir()} == {"x.ark", "x.scp", "x.3.ark"}


def test_only_kaldi_files_come_in_parts(tmp_path: Path) -> None:
    """Others are refused, with what would do."""
    with pytest.raises(InputError, match=r"--part-size is a size, and for \.ark files"):
        write_embeddings(tmp_path / "x.npz", rows, part_bytes=1000)
    assert not list(tmp_path.iterdir())


def test_parquet_tells_where_embeddings_are_from(tmp_path: Path) -> None:
    """As far as somebody knows; files of older releases have no such columns, and are read."""
    path = tmp_path / "x.parquet"
    origins = [Origin(1.5, 'a\t"ü".wav'), Origin(), Origin(2.0, "s3://b/c")]
    write_parquet(path, rows, lambda: iter(origins))
    assert_equal(list(read_embeddings(path)))
    assert list(read_parquet_origins(path)) == origins
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == ["key", "embedding", "seconds", "source"]
    pyarrow.parquet.write_table(table.select(["key", "embedding"]), path)
    assert_equal(list(read_embeddings(path)))
    assert list(islice(read_parquet_origins(path), 3)) == [Origin()] * 3


def test_origins_beside_embeddings_come_back(tmp_path: Path) -> None:
    """Whatever is in a name; a damaged file is refused, a missing one tells of nothing."""
    origins = [Origin(0.25, "a b\tc\nü"), Origin(3.0, None), Origin()]
    path = origins_path(tmp_path / "x.ark")
    assert list(islice(read_origins(path), 2)) == [Origin()] * 2
    write_origins(path, origins)
    assert list(read_origins(path)) == origins
    for damaged in ("none\n", "3\n", '["x", 1]\n', "[1]\n"):
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"x\.ark\.origins: cannot be read"):
            list(read_origins(path))


def test_text_has_the_digits_of_a_cpp_stream() -> None:
    """Six significant digits, an exponent where a stream writes one; nine give a float32 back."""
    values = np.array([1 / 3, -123456.7, 1234567, 1e-5, 0.5, 0, -2], np.float32)
    line = "u 0.333333 -123457 1.23457e+06 1e-05 0.5 0 -2\n"
    assert text_line(Named("u", values)) == line
    for row in ROWS:
        again = parse_line(text_line(row, EXACT_DIGITS))
        np.testing.assert_array_equal(again.embedding_D, row.embedding_D)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.txt", b"u 1 2 x\n"),
        ("x.txt", b"u\n"),
        ("x.txt", b"u 1 nan\n"),
        ("x.txt", b"\xff\xfe 1\n"),
        ("x.npz", b"PK no archive"),
        ("x.ark", b"u \0BFM \4\1\0\0\0"),
        ("x.ark", b"u \0BFV \4\3\0\0\0\0\0\0\0"),
        ("x.ark", b"u \0BFV \4\xff\xff\xff\xff"),
        ("x.ark", b"u PKL" + pickle.dumps([1.0])),
        ("x.scp", b"u cat x.ark |\n"),
        ("x.scp", b"u x.ark\n"),
        ("x.scp", b"u none.ark:4\n"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """What holds no embeddings is refused by name; nothing is unpickled and no command is run."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_embeddings(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.parametrize("ending", ["npz", "ark", "scp"])
def test_a_value_that_is_no_number_is_refused(tmp_path: Path, ending: str) -> None:
    """It would leave trials out without a word; the embedding is named, whatever the format."""
    path = tmp_path / f"x.{ending}"
    rows = [Named("good", np.ones(3, np.float32)), Named("bad", np.array([1, np.nan, 0], "f4"))]
    write_embeddings(path, lambda: iter(rows))
    with pytest.raises(InputError, match="bad: a value is not finite"):
        list(read_embeddings(path))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Editors write one; lists are read alike."""
    path = tmp_path / "x.txt"
    path.write_text("u0 1 2\n", encoding="utf-8-sig")
    assert [each.name for each in read_embeddings(path)] == ["u0"]


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    """An archive of objects is not opened."""
    np.savez(tmp_path / "x.npz", names=np.array(["a"]), embeddings=np.array([{}, 1], dtype=object))
    with pytest.raises(InputError, match="allow_pickle"):
        list(read_embeddings(tmp_path / "x.npz"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(InputError, match=r"none\.npz: cannot be read"):
        list(read_embeddings(tmp_path / "none.npz"))


@pytest.mark.parametrize("kind", ["vector", "double", "text", "matrix", "brackets", "tab.scp"])
def test_vectors_of_kaldis_other_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Text with brackets, matrices of one row, lists with tabs and paths that lead from them."""
    monkeypatch.chdir("/")
    rng = np.random.default_rng(0)
    want = {f"u{i}": rng.standard_normal(16).astype(np.float32) for i in range(5)}
    path = tmp_path / "e.ark"
    if kind == "brackets":
        path = tmp_path / "e.txt"
        lines = (f"{k}  [ {' '.join(map(repr, v.tolist()))} ]\n" for k, v in want.items())
        path.write_text("".join(lines))
    else:
        stored = {
            "double": {k: v.astype(np.float64) for k, v in want.items()},
            "matrix": {k: v[np.newaxis] for k, v in want.items()},
        }.get(kind, want)
        places = tmp_path / "e.scp"
        kaldiio.save_ark(str(path), stored, scp=str(places), text=kind == "text")
        if kind == "tab.scp":
            path = places
            path.write_text(path.read_text().replace(" ", "\t").replace(f"{tmp_path}/", ""))
    found = dict(read_embeddings(path))
    assert list(found) == list(want)
    for name, embedding_D in found.items():
        np.testing.assert_allclose(embedding_D, want[name], rtol=1e-6)


def test_a_vector_without_a_name_is_told(tmp_path: Path) -> None:
    """It would be taken for the end of the file, and hide those behind it."""
    kaldiio.save_ark(str(tmp_path / "a.ark"), {"u": np.ones(3, np.float32)})
    data = (tmp_path / "a.ark").read_bytes()
    (tmp_path / "a.ark").write_bytes(data + data[1:] + data)
    with pytest.raises(InputError, match="no name"):
        list(read_embeddings(tmp_path / "a.ark"))


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_a_flipped_bit_is_told_or_changes_nothing(tmp_path: Path, ending: str) -> None:
    """Both have check sums of what they hold; a flip elsewhere may be of no importance."""
    path, rng = tmp_path / f"e{ending}", random.Random(ending)
    write_embeddings(path, rows)
    whole, told = path.read_bytes(), list[str]()
    for _ in range(200):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            found = list(read_embeddings(path))
        except InputError as error:
            told.append(str(error))
        else:
            assert_equal(found)
    assert told
    assert all(line.startswith(f"{path}: ") for line in told)
