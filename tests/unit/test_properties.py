"""Whatever a file holds: it is read, or refused in one line; what was written comes back."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.embed import embeddings
from bench.embed.embeddings import Named
from bench.plan.sweep import Axes, Plan
from bench.results.lines import Declaration, Record
from bench.results.store import RECORDS, RunFolder
from frontends.find import read_list
from tests.readers import LISTS, check, refusal
from tests.unit.test_store import CELL, record

quickly = settings(max_examples=80, deadline=None, derandomize=True)

WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([*Plan.model_fields, *Axes.model_fields, "sweep", "colour"])


def written(content: bytes | str, name: str = "file") -> Path:
    """Write a file into a folder of its own, which stays until the tests end."""
    folder = TemporaryDirectory(prefix="properties-")
    KEPT.append(folder)
    path = Path(folder.name) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


KEPT: list[TemporaryDirectory[str]] = []


#: What the files are made of, so that some of what is drawn is nearly right.
PIECES = st.sampled_from(
    [
        *(
            "utt1",
            "a.wav",
            "b.wav\n",
            " ",
            "\t",
            "\n",
            "target",
            "nontarget",
            "1",
            "0.5",
            "-1",
            "nan",
        ),
        *(
            "\r\n",
            "\ufeff",
            "\u2028",
            "\x85",
            "[",
            "]",
            "{",
            "}",
            '"',
            "=",
            "models",
            "[[sweep]]",
            "|",
        ),
        *(
            '{"key": "k", "wav": "a.wav"}',
            '{"audio_filepath": "a", "duration": 1}',
            "\0BFV \4",
            "PK\3\4",
        ),
    ]
)


@pytest.mark.parametrize("name", ["plan.toml", *LISTS])
@quickly
@given(content=st.binary(max_size=60) | st.lists(PIECES, max_size=14).map("".join).map(str.encode))
def test_any_file_is_read_or_refused(name: str, content: bytes) -> None:
    """No bytes end a reader with anything but a refusal."""
    check(name, written(content, name))


@quickly
@given(table=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_plan_is_read_or_refused(table: dict[str, Any]) -> None:
    """Known keys with values of any kind make a plan, or a line that says what is wrong."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    check("plan.toml", written("\n".join(lines), "plan.toml"))


@quickly
@given(entries=st.dictionaries(WORDS, WORDS, min_size=1, max_size=6))
def test_a_list_gives_its_entries(entries: dict[str, str]) -> None:
    """Names and paths of any characters but blanks come back in their order."""
    entries = {name: path for name, path in entries.items() if not path.endswith("|")}
    listed = written("".join(f"{name} {path}\n" for name, path in entries.items()))
    if entries:
        found = {each.name: each.path for each in read_list(listed)}
        assert [*found] == [*entries]
        assert [path.name for path in found.values()] == [Path(p).name for p in entries.values()]


VECTORS = arrays.arrays(
    np.float32, 5, elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_nan=False)
)


@pytest.mark.parametrize("ending", ["ark", "npz", "txt"])
@quickly
@given(rows=st.dictionaries(WORDS, VECTORS, min_size=1, max_size=5), cut=st.integers(1, 40))
def test_embeddings_come_back(ending: str, rows: dict[str, Any], cut: int) -> None:
    """Every value and name comes back; of a file that is cut off, no wrong value does."""
    path = written("", f"e.{ending}")
    embeddings.write_embeddings(path, lambda: (Named(*row) for row in rows.items()))
    found = dict(embeddings.read_embeddings(path))
    assert [*found] == [*rows]
    for name, values_D in rows.items():
        rtol = 1e-5 if ending == "txt" else 0.0
        np.testing.assert_allclose(found[name], values_D, rtol=rtol)
    path.write_bytes(path.read_bytes()[:-cut])
    kept: dict[str, Any] = {}
    why = refusal(lambda path: kept.update(embeddings.read_embeddings(path)), path)
    assert not why or str(path) in why
    if ending != "txt":  # a line of text may lose digits and remain a line
        assert all(np.array_equal(kept[name], rows[name]) for name in kept)


@quickly
@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=5
    ),
    cut=st.integers(0, 400),
    dirt=st.binary(max_size=20),
)
def test_a_run_keeps_all_whole_lines(names: list[str], cut: int, dirt: bytes) -> None:
    """Cut off anywhere, with anything behind it, a run folder gives every whole line back."""
    path = written("", "ignored").parent / "run"
    folder = RunFolder.create(path, overwrite=False, resume=False)
    lines: list[Declaration | Record] = [Declaration(cell_id="c", cell=CELL, title="XVEC")]
    lines += [record(0, 5, utterance=name) for name in names]
    for line in lines:
        folder.append(line)
    file = path / RECORDS
    whole = file.read_bytes()
    kept = whole[: max(len(whole) - cut, 0)]
    file.write_bytes(kept + dirt)
    again = RunFolder.create(path, overwrite=False, resume=True)
    found = list(again.lines())
    complete = kept.count(b"\n")
    assert found[:complete] == lines[:complete]


def test_a_single_array_is_no_archive() -> None:
    """What numpy itself reads may still be something else."""
    path = written("", "e.npz")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert "a single array" in refusal(lambda path: list(embeddings.read_embeddings(path)), path)
