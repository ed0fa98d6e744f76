"""What goes wrong in one cell ends as its row, and the others go on."""

import errno
from pathlib import Path

import pytest

from rtfbench.base.child import Interpreter
from rtfbench.base.pace import Progress
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.context import RunContext
from rtfbench.measure.messages import WorkerSpec
from rtfbench.measure.plan import Plan, expand
from rtfbench.measure.runner import Runner
from rtfbench.models.resolve import Resolved
from rtfbench.results.cells import Status
from rtfbench.results.contrasts import run_ratios
from rtfbench.results.store import CellData, RunFolder

from .scripted import (
    WRONG,
    Fault,
    FixedCeiling,
    Phase,
    Script,
    ScriptedMachine,
    ScriptedWorker,
    What,
    label_of,
)

PHASES: tuple[Phase, ...] = ("loading", "opening", "measuring", "stopping")
TROUBLES: dict[What, tuple[Status, str]] = {
    "dies": ("failed", "worker ended early, killed by SIGSEGV"),
    "is gone": ("failed", "worker ended early, killed by SIG"),
    "is silent": ("timed_out", "no answer within 40 s"),
    "sends garbage": ("failed", "the worker's answer cannot be understood"),
    "is wrong": ("wrong_output", WRONG),
}
SESSIONS = 3
PLAN = Plan(
    engines=parse_engines("first", "second", "third"),
    protocols=("steady",),
    sessions=SESSIONS,
    budget_s=500,
    timeout_s=40,
)


def cells_of(folder: RunFolder) -> dict[str, CellData]:
    """Return what a run stored, by engine and replica."""
    return {label_of(data.cell): data for data in folder.cells().values()}


def run_with(fault: Fault, path: Path, *, engine: str = "second") -> dict[str, CellData]:
    """Return the cells of a run in which one engine has a fault."""
    return cells_of(ScriptedMachine({engine: Script(fault=fault)}).measure(PLAN, path))


def ending(data: CellData) -> tuple[str, str]:
    """Return status and reason."""
    assert data.outcome is not None
    return data.outcome.status, data.outcome.reason


def sessions_of(data: CellData) -> set[int]:
    """Return the sessions that a cell has records of."""
    return {record.session for record in data.records}


@pytest.mark.parametrize("session", [0, 1])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("what", TROUBLES)
def test_trouble_ends_one_cell_with_its_reason(
    tmp_path: Path, what: What, phase: Phase, session: int
) -> None:
    """In any phase of any session: the row says what happened, the others are measured on."""
    cells = run_with(Fault(what, phase, session, turn=2), tmp_path)
    status, reason = TROUBLES[what]
    found = ending(cells.pop("second"))
    assert found[0] == status
    assert found[1].startswith(reason)
    assert len(cells) == 3
    for data in cells.values():
        assert ending(data) == ("ok", "")
        assert sessions_of(data) == set(range(SESSIONS))
    (ratio,) = run_ratios([[cells["first"], cells["third"]]])
    assert ratio.sessions == SESSIONS


@pytest.mark.parametrize("phase", PHASES)
def test_what_was_measured_before_the_trouble_stays(tmp_path: Path, phase: Phase) -> None:
    """Records are written as they come: an end in the second session leaves those of the first."""
    data = run_with(Fault("dies", phase, session=1, turn=2), tmp_path)["second"]
    whole = cells_of(ScriptedMachine().measure(PLAN, tmp_path / "whole"))["second"]
    expected = {"loading": {0}, "opening": {0}, "measuring": {0, 1}, "stopping": {0, 1}}
    assert sessions_of(data) == expected[phase]
    first = [record for record in data.records if record.session == 0]
    assert first == [record for record in whole.records if record.session == 0]
    if phase == "measuring":
        cut = [(record.block, record.position) for record in data.records if record.session == 1]
        assert len(cut) == 2 + 1


@pytest.mark.parametrize("what", TROUBLES)
def test_a_cell_that_ended_is_started_no_more(tmp_path: Path, what: What) -> None:
    """No later session spends time on it, and its process is ended with the session at last."""
    machine = ScriptedMachine({"second": Script(fault=Fault(what, "opening"))})
    machine.measure(PLAN, tmp_path)
    started = [w.spec.session for w in machine.workers if w.spec.cell.engine == "second"]
    assert started == [0]
    assert all(worker.closed for worker in machine.workers)


def test_without_its_reference_a_comparison_goes_on(tmp_path: Path) -> None:
    """Ratios are to the first cell that is ok, whichever that is."""
    cells = run_with(Fault("dies", "opening"), tmp_path, engine="first")
    assert ending(cells["first"])[0] == "failed"
    ratios = run_ratios([[cells[spec.name] for spec in PLAN.engines]])
    assert [(ratio.engine, ratio.reference) for ratio in ratios] == [("third", "second")]


def test_where_every_cell_fails_the_run_goes_on_to_the_next_comparison(tmp_path: Path) -> None:
    """A comparison may end without a single time."""
    plan = PLAN.model_copy(update={"threads": (1, 2), "engines": parse_engines("first")})
    fault = Fault("dies", "measuring", session=1)
    machine = ScriptedMachine({"first": Script(fault=fault)})
    folder = machine.measure(plan, tmp_path)
    assert [ending(data)[0] for data in folder.cells().values()] == ["failed"] * 4
    assert {data.cell.threads for data in folder.cells().values()} == {1, 2}


def test_a_time_limit_holds_for_each_answer(tmp_path: Path) -> None:
    """A slot may take longer than the limit, as long as each utterance in it does not."""
    chunks = {"one": 10, "two": 10, "three": 10}
    script = Script(chunk_s=2.0)
    for timeout_s, status in ((25, "ok"), (19, "timed_out")):
        plan = PLAN.model_copy(update={"timeout_s": timeout_s})
        machine = ScriptedMachine({"second": script}, chunks=chunks)
        cells = cells_of(machine.measure(plan, tmp_path / status))
        assert ending(cells["second"])[0] == status


def test_what_cannot_be_measured_is_a_row_without_a_process(tmp_path: Path) -> None:
    """More threads than cores, a static model of whole utterances: told, never started."""
    machine = ScriptedMachine()
    plan = Plan(
        models=("xvec",),
        engines=parse_engines("null", "onnxruntime"),
        protocols=("steady",),
        threads=(5,),
    )
    folder = RunFolder.create(tmp_path, overwrite=False, resume=False)
    context = RunContext(
        folder=folder,
        sources=(),
        progress=Progress(),
        cores=range(4),
        clock=machine.clock,
        spawn=machine.spawn,
        ceiling_of=lambda _: FixedCeiling(),
    )
    static = expand(
        Plan(models=("xvec",), engines=parse_engines("mnn"), chunk_samples=(-1,)),
        lambda _: "static",
    )
    cells = [*expand(plan, lambda _: "dynamic"), *static]
    runner = Runner(plan, context)
    runner.run(runner.take_up(Resolved(tuple(cells))))
    found = list(folder.cells().values())
    assert [data.cell for data in found] == cells
    assert {ending(data)[0] for data in found} == {"unsupported"}
    assert "5 threads" in ending(found[0])[1]
    assert "static" in ending(found[-1])[1]
    assert machine.workers == []


def test_a_refused_cell_leaves_its_comparison_to_the_others(tmp_path: Path) -> None:
    """It is no reference and gets no ghost."""
    machine = ScriptedMachine(refused={"first": "no such thing"})
    cells = cells_of(machine.measure(PLAN, tmp_path))
    assert ending(cells["first"]) == ("unsupported", "no such thing")
    assert not cells["first"].records
    assert set(cells) == {"first", "second", "third", "second (ghost)"}
    assert {worker.spec.cell.engine for worker in machine.workers} == {"second", "third"}


def test_a_process_that_the_system_does_not_start_is_one_row(tmp_path: Path) -> None:
    """Too many processes, a Python that is gone: the cell says so, the others are measured."""

    class Full(ScriptedMachine):
        def spawn(
            self, spec: WorkerSpec, logs: Path, interpreter: Interpreter | None = None
        ) -> ScriptedWorker:
            if spec.cell.engine == "second" and spec.session == 1:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return super().spawn(spec, logs, interpreter)

    cells = cells_of(Full().measure(PLAN, tmp_path))
    status, reason = ending(cells["second"])
    assert status == "failed"
    assert "no worker could be started" in reason
    assert "temporarily unavailable" in reason
    assert sessions_of(cells["third"]) == set(range(SESSIONS))


def test_a_ghost_alone_is_not_measured_on(tmp_path: Path) -> None:
    """What it replicates is gone; it ends well, so that going on has nothing to do."""
    plan = PLAN.model_copy(update={"engines": parse_engines("first")})
    machine = ScriptedMachine(
        {"first": Script(fault=Fault("is wrong", "opening")), "first (ghost)": Script()}
    )
    machine.measure(plan, tmp_path)
    assert machine.turns == []
    again = ScriptedMachine()
    again.measure(plan, tmp_path, resume=True)
    assert again.workers == []
