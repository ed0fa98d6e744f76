"""The run folder."""

import errno
import os
from pathlib import Path

import pytest

from rtfbench.results import store
from rtfbench.results.cells import Cell
from rtfbench.results.host import Environment
from rtfbench.results.lines import Declaration, Outcome
from rtfbench.results.records import Health, Record
from rtfbench.results.store import RECORDS, RunFolder, StoreError, cells_of, finished_of, no_run
from rtfbench.results.summary import summarize, summarize_cell

CELL = Cell(
    model="xvec", engine="mnn", form="dynamic", threads=1, chunk_samples=32000, protocol="steady"
)


ENVIRONMENT = Environment(
    rtfbench="0",
    started_utc="",
    cpu="",
    cores=2,
    usable_cores=2,
    memory_bytes=1,
    os="",
    python="",
    packages={},
    load_average_1min=0,
)


def record(position: int, processing_ms: int, utterance: str = "a", audio_s: int = 1) -> Record:
    """Return a measurement of one utterance."""
    ns = processing_ms * 1_000_000
    return Record(
        cell_id="c",
        session=0,
        block=0,
        position=position,
        utterance=utterance,
        audio_ns=audio_s * 10**9,
        padded_audio_ns=2 * audio_s * 10**9,
        load_ns=5_000_000,
        first_chunk_ns=ns,
        frontend_ns=ns // 10,
        engine_ns=ns // 2,
        processing_ns=ns,
        chunk_ns=(ns // 2,),
        cpu_ns=ns,
        peak_rss_bytes=100_000_000,
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return an empty run folder with one declared cell."""
    found = RunFolder.create(tmp_path / "run", overwrite=False, resume=False)
    found.append(Declaration(cell_id="c", cell=CELL, title="XVEC"))
    return found


def test_lines_come_back_as_they_went(folder: RunFolder) -> None:
    """What was appended is read back, in order and by cell."""
    lines: list[Declaration | Record | Outcome] = [
        record(0, 10),
        record(1, 20),
        Outcome(cell_id="c", status="ok"),
    ]
    for line in lines:
        folder.append(line)
    assert list(folder.lines())[1:] == lines
    assert folder.cells()["c"].records == lines[:2]
    assert finished_of(folder.cells()) == {"c"}


def test_a_line_cut_off_by_a_crash_is_left_out(folder: RunFolder) -> None:
    """A torn last line costs itself only, and appending goes on after it."""
    folder.append(record(0, 10))
    path = folder.path / RECORDS
    path.write_text(path.read_text()[:-20])
    assert len(list(folder.lines())) == 1
    again = RunFolder.create(folder.path, overwrite=False, resume=True)
    again.append(record(1, 20))
    assert len(list(again.lines())) == 2


def test_a_damaged_line_in_the_middle_is_an_error(folder: RunFolder) -> None:
    """Damage elsewhere is told with its line number, never skipped."""
    with (folder.path / RECORDS).open("a") as file:
        file.write("{}\n")
    folder.append(record(0, 10))
    with pytest.raises(StoreError, match=r"records.jsonl:2"):
        list(folder.lines())


def test_a_run_is_not_overwritten_unasked(folder: RunFolder) -> None:
    """A folder with a run is refused, unless the user says what to do with it."""
    with pytest.raises(StoreError, match="--overwrite"):
        RunFolder.create(folder.path, overwrite=False, resume=False)
    RunFolder.create(folder.path, overwrite=True, resume=False)
    assert not list(folder.lines())


def test_records_that_are_no_file(tmp_path: Path) -> None:
    """A FIFO in their place is told, not waited for."""
    os.mkfifo(tmp_path / RECORDS)
    with pytest.raises(StoreError, match="not a regular file"):
        RunFolder.create(tmp_path, overwrite=False, resume=True)
    with pytest.raises(StoreError, match="not a regular file"):
        list(RunFolder(tmp_path).lines())


def test_a_cell_begun_again_counts_anew(folder: RunFolder) -> None:
    """After a resume, the records of the interrupted attempt do not count."""
    folder.append(record(0, 10))
    folder.append(Declaration(cell_id="c", cell=CELL, title="XVEC"))
    folder.append(record(0, 30))
    assert folder.cells()["c"].records == [record(0, 30)]


def test_rtf_is_summed_time_over_summed_audio(folder: RunFolder) -> None:
    """A pass weighs utterances by their length; the cell's RTF is the median over passes."""
    for position, (first_ms, second_ms) in enumerate([(10, 30), (20, 60), (40, 360)]):
        folder.append(record(position, first_ms, "a", audio_s=1))
        folder.append(record(position, second_ms, "b", audio_s=3))
    folder.append(record(3, 10_000, "a"))  # a pass that was interrupted does not count
    folder.append(Outcome(cell_id="c", status="ok"))
    summary = summarize_cell(folder.cells()["c"])
    assert summary.passes == 3
    assert summary.rtf == pytest.approx(0.080 / 4)
    assert summary.rtf_padded == pytest.approx(0.080 / 8)
    assert summary.rtf_frontend == pytest.approx(0.008 / 4)
    assert summary.peak_rss_mb == pytest.approx(100)
    assert summary.rtf_ci95 is None


def test_a_cell_that_is_not_ok_shows_no_time(folder: RunFolder) -> None:
    """Times of a wrong result would be believed: they are not shown."""
    folder.append(record(0, 10))
    folder.append(Outcome(cell_id="c", status="wrong_output", reason="off"))
    summary = summarize_cell(folder.cells()["c"])
    assert (summary.rtf, summary.chunk_ms, summary.status) == (None, None, "wrong_output")


def test_ratios_pair_the_passes_of_a_block(folder: RunFolder) -> None:
    """A drift that doubles every time leaves the ratio exact: cells are compared block by block.

    Each block is a session of its own, since those of one say nothing of the next.
    """
    other = CELL.model_copy(update={"engine": "onnxruntime"})
    folder.append(Declaration(cell_id="d", cell=other, title="XVEC"))
    for session in range(6):
        # The palindrome c d d c on a machine that slows down all the time, d three times as long.
        for position, (cell_id, factor) in enumerate([("c", 1), ("d", 3), ("d", 3), ("c", 1)]):
            time_ms = 10 * factor * 2**position * 4**session
            made = record(position, time_ms)
            folder.append(made.model_copy(update={"cell_id": cell_id, "session": session}))
    for cell_id in ("c", "d"):
        folder.append(Outcome(cell_id=cell_id, status="ok"))
    (ratio,) = summarize(ENVIRONMENT, list(folder.cells().values())).ratios
    assert (ratio.engine, ratio.reference, ratio.blocks) == ("onnxruntime", "mnn", 6)
    assert ratio.ratio == pytest.approx(3)
    assert ratio.ci95 == pytest.approx((3, 3))
    assert ratio.decided


def test_a_new_run_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    """Signatures and explanations are of the records that were; a list in the folder is read."""
    for name in ("records.sig", "explain/x/explain.json", "explain/x/notes.txt", "summary.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"records_sha256": "ab"}')
    with pytest.raises(StoreError, match="overwrite"):
        RunFolder.create(tmp_path, overwrite=False, resume=False)
    with RunFolder.create(tmp_path, overwrite=True, resume=False):
        left = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {".lock"}
    assert left == {"notes.txt"}


def test_a_line_that_finds_no_room_is_no_line(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records end with the last whole one, so that a summary is of what a resume reads."""
    folder.append(record(0, 10))

    def full(fd: int, data: bytes) -> None:
        os.write(fd, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_all", full)
        with pytest.raises(OSError, match="No space"):
            folder.append(record(1, 20))
    folder.append(record(2, 30))
    assert [each.position for each in folder.cells()["c"].records] == [0, 2]


def test_one_that_failed_has_no_part_in_new_turns() -> None:
    """Its row says how it ended; what the host did in its turns is of the turns that were."""
    other = CELL.model_copy(update={"engine": "onnxruntime"})
    health = Health(cell_id="b", session=0, block=0, wall_ns=1)
    failed = Outcome(cell_id="b", status="failed")
    lines = [
        Declaration(cell_id=name, cell=each, title="") for name, each in (("c", CELL), ("b", other))
    ]
    found = cells_of([*lines, health, failed, lines[0]])
    assert (found["b"].health, found["b"].outcome) == ([], failed)


def test_a_folder_without_a_run_names_those_that_have_one(tmp_path: Path) -> None:
    """A misspelt folder is told from one that holds runs, and from one that holds none."""
    assert no_run(tmp_path / "gone").endswith(
        "gone: no such folder; name one that `rtfbench run --out` made"
    )
    assert no_run(tmp_path).endswith("name a folder that `rtfbench run` made")
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").touch()
    assert no_run(tmp_path).endswith("no records.jsonl here; name one in it: a, b")
