"""From records to contrasts: pairs within blocks, cycles over utterances."""

import math
from functools import partial

import pytest

from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.results.cells import Cell, ProtocolName
from rtfbench.results.contrasts import (
    complete_slots,
    contrasts,
    contrasts_by_session,
    estimate_ratio,
    own_times,
    run_ratios,
    tells_waits,
    undisturbed_times,
)
from rtfbench.results.lines import Course, Declaration, Outcome
from rtfbench.results.records import Record
from rtfbench.results.store import CellData


def cell_data(engine: str, protocol: ProtocolName = "steady", replica: str = "") -> CellData:
    """Return a cell without records."""
    cell = Cell(
        model="xvec", engine=engine, form="dynamic", threads=1, chunk_samples=32000,
        protocol=protocol, replica=replica,
    )  # fmt: skip
    return CellData(Declaration(cell_id=engine + replica, cell=cell, title="XVEC"))


def add(data: CellData, session: int, block: int, position: int, **times_ms: float) -> None:
    """Add a slot: utterance=milliseconds."""
    for name, ms in times_ms.items():
        ns = round(ms * 1e6)
        data.records.append(
            Record(
                cell_id=data.declaration.cell_id, session=session, block=block, position=position,
                utterance=name, audio_ns=10**9, padded_audio_ns=2 * 10**9, load_ns=1,
                first_chunk_ns=1, frontend_ns=1, engine_ns=ns - 2, processing_ns=ns,
                chunk_ns=(ns,), cpu_ns=ns,
            )
        )  # fmt: skip


def test_linear_drift_cancels_exactly() -> None:
    """A machine that slows down by the same factor every slot leaves the ratio exact."""
    ours, theirs = cell_data("mnn"), cell_data("onnxruntime")
    for slot, (data, factor) in enumerate([(ours, 2), (theirs, 1), (theirs, 1), (ours, 2)]):
        add(data, 0, 0, slot, a=factor * 1000 * 1.1**slot)
    assert contrasts(ours, theirs) == [[pytest.approx(math.log(2), abs=1e-6)]]


def test_published_contrasts_take_every_utterance() -> None:
    """The ratio depends on length there, so portions are summed before they are compared."""
    cases: dict[ProtocolName, list[float]] = {"steady": [2.0, 1.0], "published": [1200 / 1100]}
    for protocol, expected in cases.items():
        ours, theirs = cell_data("mnn", protocol), cell_data("onnxruntime", protocol)
        for position in (0, 1):
            add(ours, 0, 0, position, a=200)
            add(theirs, 0, 0, position, a=100)
            add(ours, 0, 1, position, b=1000)
            add(theirs, 0, 1, position, b=1000)
        (found,) = contrasts(ours, theirs)
        assert [math.exp(each) for each in found] == pytest.approx(expected)


def test_what_was_cut_short_does_not_count() -> None:
    """A block with a slot missing, or one half done, gives no contrast and no time."""
    ours, theirs = cell_data("mnn"), cell_data("onnxruntime")
    for data in (ours, theirs):
        for position in (0, 1):
            add(data, 0, 0, position, a=100, b=100)
        add(data, 0, 1, 0, a=100, b=100)
    add(ours, 0, 1, 1, a=100)
    assert contrasts(ours, theirs) == [[0.0]]
    assert [len(slot) for slot in complete_slots(ours.records)] == [2, 2, 2]


def test_ratios_leave_replicas_out_and_follow_the_course() -> None:
    """The reference is the first cell that is ok; precision and alpha are the course's."""
    failed, reference, other = cell_data("bad"), cell_data("onnxruntime"), cell_data("mnn")
    ghost = cell_data("onnxruntime", replica="ghost")
    failed.outcome = Outcome(cell_id="bad", status="failed")
    for session in range(6):
        for block in range(2):
            for data, ms in ((reference, 100), (other, 103 + session % 3), (ghost, 100)):
                add(data, session, block, 0, a=ms)
                add(data, session, block, 1, a=ms)
    course = Course(
        cell_id="onnxruntime", looks=(6,), alpha=0.05, precision=0.05, blocks=2, portions=1
    )
    group = [failed, reference, other, ghost]
    other.course = course
    (ratio,) = run_ratios([group])
    assert (ratio.engine, ratio.reference) == ("mnn", "onnxruntime")
    assert (ratio.sessions, ratio.blocks, ratio.decided) == (6, 12, True)
    strict = course.model_copy(update={"precision": 1e-4})
    other.course = strict
    assert not run_ratios([group])[0].decided
    wide = estimate_ratio(other, reference, alpha=0.005)
    assert wide is not None
    assert ratio.ci95 is not None
    assert wide.half_width > (ratio.ci95[1] - ratio.ci95[0]) / 2


def test_what_takes_a_core_away_adds_to_some_chunks() -> None:
    """A burst in most slots leaves the undisturbed ratio exact, and the share it adds is capped."""
    ours, theirs = cell_data("mnn"), cell_data("onnxruntime")
    for data, ms in ((ours, 10), (theirs, 5)):
        for position in (0, 1):
            add(data, 0, 0, position, a=4 * ms)
            (record,) = data.records[-1:]
            burst = 500 * 10**6 if data is ours else 0
            chunk_ns = (ms * 10**6 + burst, *[ms * 10**6] * 3)
            changed = {
                "chunk_ns": chunk_ns, "engine_ns": sum(chunk_ns), "processing_ns": sum(chunk_ns),
            }  # fmt: skip
            data.records[-1] = record.model_copy(update=changed)
    found = contrasts_by_session(ours, theirs, times=undisturbed_times)
    assert found == {0: [pytest.approx(math.log(2), abs=1e-6)]}
    capped = contrasts_by_session(ours, theirs, times=partial(undisturbed_times, most=2.0))
    assert capped == {0: [pytest.approx(math.log(2 * 5 / 4), abs=1e-6)]}


def test_the_time_in_which_others_had_the_core_can_be_taken_off() -> None:
    """It is what threads waited for a core, and never more than leaves what all of them computed.

    Where a kernel does not tell it, or a cell has several cores, nothing is taken off.
    """
    data = cell_data("mnn")
    add(data, 0, 0, 0, a=100)
    add(data, 0, 0, 1, a=100)
    assert not tells_waits(data)
    assert own_ms(data, waited_ms=30) == pytest.approx(70)
    assert own_ms(data, waited_ms=90) == pytest.approx(60)
    two = data.cell.model_copy(update={"threads": 2})
    declaration = data.declaration.model_copy(update={"cell": two})
    assert not tells_waits(CellData(declaration, data.records))


def own_ms(data: CellData, *, waited_ms: int) -> float:
    """Return what 100 ms with 60 ms of CPU time are without the others'."""
    told = {"processing_ns": 100 * 10**6, "cpu_ns": 60 * 10**6, "waited_ns": waited_ms * 10**6}
    data.records[:] = [record.model_copy(update=told) for record in data.records]
    assert tells_waits(data)
    ((times, *_),) = [list(own_times(data).values())]
    return times["a"] / 1e6


def test_chunks_of_other_lengths_are_held_against_their_own() -> None:
    """Whole utterances are chunks of their own lengths: each counts with its lesser slot."""
    data = cell_data("mnn")
    whole = data.declaration.cell.model_copy(update={"chunk_samples": WHOLE_UTTERANCE})
    object.__setattr__(data, "declaration", data.declaration.model_copy(update={"cell": whole}))
    add(data, 0, 0, 0, a=100, b=900)
    add(data, 0, 0, 1, a=300, b=500)
    ((times, *_),) = [list(undisturbed_times(data).values())]
    assert times == {"a": pytest.approx(100e6), "b": pytest.approx(500e6)}
