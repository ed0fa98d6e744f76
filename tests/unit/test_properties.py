"""Whatever a file holds: it is read, or refused in one line; what was written comes back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rtfbench.embed import embeddings
from rtfbench.embed.embeddings import Named
from rtfbench.inputs.find import read_list
from rtfbench.inputs.kaldi import from_segments
from rtfbench.results.lines import Declaration
from rtfbench.results.records import Record
from rtfbench.results.store import RECORDS, RunFolder
from tests.readers import LISTS, check, refusal
from tests.unit.properties import written
from tests.unit.test_store import CELL, record

WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1)
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
@given(content=st.binary(max_size=60) | st.lists(PIECES, max_size=14).map("".join).map(str.encode))
def test_any_file_is_read_or_refused(name: str, content: bytes) -> None:
    """No bytes end a reader with anything but a refusal."""
    check(name, written(content, name))


@given(entries=st.dictionaries(WORDS, WORDS, min_size=1, max_size=6))
def test_a_list_gives_its_entries(entries: dict[str, str]) -> None:
    """Names and paths of any characters but blanks come back in their order."""
    entries = {name: path for name, path in entries.items() if not path.endswith("|")}
    listed = written("".join(f"{name} {path}\n" for name, path in entries.items()))
    if entries:
        found = {each.name: each.path for each in read_list(listed)}
        assert [*found] == [*entries]
        assert [path.name for path in found.values()] == [Path(p).name for p in entries.values()]


@given(
    entries=st.dictionaries(
        WORDS,
        st.tuples(st.floats(0, 1e6), st.floats(0.001, 1e6) | st.none()),
        min_size=1,
        max_size=6,
    )
)
def test_segments_give_their_stretches(entries: dict[str, tuple[float, float | None]]) -> None:
    """Begin and end to the last bit; an end of -1 is that of the recording."""
    path = written("", "segments")
    path.with_name("wav.scp").write_text("rec a.wav\n")
    wanted = {
        name: (begin, None if length is None or begin + length == begin else begin + length)
        for name, (begin, length) in entries.items()
    }
    path.write_text(
        "".join(f"{n} rec {b!r} {-1 if e is None else repr(e)}\n" for n, (b, e) in wanted.items())
    )
    listing = from_segments(path, path.with_name("wav.scp"))
    found = {each.name: each.part for each in listing.utterances()}
    assert {n: (p.begin_s, p.end_s) for n, p in found.items() if p is not None} == wanted
    assert [*listing.names()] == [*wanted]


VECTORS = arrays.arrays(
    np.float32, 5, elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_nan=False)
)


@pytest.mark.parametrize("ending", ["ark", "npz", "txt"])
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
