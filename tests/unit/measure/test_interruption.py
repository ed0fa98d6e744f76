"""Ctrl-C at any moment, and going on afterwards."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Plan
from rtfbench.results.host import Environment
from rtfbench.results.store import FINAL, CellData, RunFolder
from rtfbench.results.summary import summarize

from .scripted import Fault, Script, ScriptedMachine, label_of

PLAN = Plan(
    models=("small", "large"),
    engines=parse_engines("one", "two"),
    protocols=("steady",),
    sessions=2,
    half_width=0.5,
    budget_s=134,
)
#: How often the parent listens in a run of this plan; a test says so.
CALLS = 84
HOST = Environment(
    rtfbench="0", started_utc="", cpu="", cores=2, usable_cores=2, memory_bytes=1, os="",
    python="", packages={}, load_average_1min=0,
)  # fmt: skip


def interrupted(machine: ScriptedMachine, path: Path, plan: Plan = PLAN) -> RunFolder:
    """Return the folder of a run that Ctrl-C ends."""
    with pytest.raises(KeyboardInterrupt):
        machine.measure(plan, path)
    return RunFolder.create(path, overwrite=False, resume=True)


def models_of(machine: ScriptedMachine) -> set[str]:
    """Return the models that any process was started for."""
    return {worker.spec.cell.model for worker in machine.workers}


def statuses(folder: RunFolder) -> dict[tuple[str, str], str]:
    """Return how every cell ended, by model and label."""
    found: dict[tuple[str, str], str] = {}
    for data in folder.cells().values():
        assert data.outcome is not None, data.cell
        found[data.cell.model, label_of(data.cell)] = data.outcome.status
    return found


def test_the_run_that_is_interrupted_below_listens_so_often(tmp_path: Path) -> None:
    """So that the moments of the next tests lie in the run, from its first answer to its last."""
    machine = ScriptedMachine()
    machine.measure(PLAN, tmp_path)
    assert machine.calls == CALLS


# A session has 21 answers: a step of 4 meets each of them once, in one session or another.
@pytest.mark.parametrize("call", range(1, CALLS + 1, 4))
def test_an_interrupted_run_can_be_read_and_gone_on_with(tmp_path: Path, call: int) -> None:
    """Every cell has an outcome, no process stays, and the second run measures what is missing."""
    machine = ScriptedMachine(interrupt_at=call)
    folder = interrupted(machine, tmp_path)
    assert all(worker.closed for worker in machine.workers)
    found = statuses(folder)
    asked = {(model, spec.name) for model in PLAN.models for spec in PLAN.engines}
    assert {name for name in found if "ghost" not in name[1]} == asked
    assert set(found.values()) <= {"ok", "failed"}
    rows = summarize(HOST, list(folder.cells().values())).cells
    assert {(row.model, row.engine): row.status for row in rows}.items() <= found.items()
    missing = {model for (model, _), status in found.items() if status == "failed"}
    assert missing
    again = ScriptedMachine()
    again.measure(PLAN, tmp_path, resume=True)
    assert models_of(again) == missing
    assert set(statuses(folder).values()) == {"ok"}


def test_what_came_to_a_look_stays_when_a_later_session_is_interrupted(tmp_path: Path) -> None:
    """The row is ok with the sessions before it; going on has nothing to do."""
    plan = Plan(engines=parse_engines("one", "two"), protocols=("steady",), budget_s=2500)
    scripts = {"one": Script(luck=0.1)}
    whole = ScriptedMachine(scripts)
    whole.measure(plan, tmp_path / "whole")
    folder = interrupted(
        ScriptedMachine(scripts, interrupt_at=whole.calls - 20), tmp_path / "cut", plan
    )
    assert set(statuses(folder).values()) == {"ok"}
    rows = summarize(HOST, list(folder.cells().values())).cells
    assert all(row.status == "ok" and row.sessions >= 12 for row in rows)
    again = ScriptedMachine(scripts)
    again.measure(plan, tmp_path / "cut", resume=True)
    assert again.workers == []


def test_an_interruption_says_so(tmp_path: Path) -> None:
    """The reason of a cell without times is that it was interrupted, not that it is broken."""
    folder = interrupted(ScriptedMachine(interrupt_at=20), tmp_path)
    assert {
        data.outcome.reason for data in folder.cells().values() if data.outcome is not None
    } == {"interrupted"}


def test_a_comparison_with_a_cell_that_failed_is_measured_again_as_a_whole(tmp_path: Path) -> None:
    """What may end otherwise is tried again, beside those that it is compared with."""
    crash = Script(fault=Fault("dies", "measuring"))
    folder = ScriptedMachine({"two": crash}).measure(
        PLAN.model_copy(update={"models": ("small",)}), tmp_path
    )
    again = ScriptedMachine()
    again.measure(PLAN.model_copy(update={"models": ("small",)}), tmp_path, resume=True)
    assert {label_of(w.spec.cell) for w in again.workers} == {"one", "two", "one (ghost)"}
    assert set(statuses(folder).values()) == {"ok"}


@pytest.mark.parametrize("what", ["is wrong", "refused"])
def test_what_would_end_alike_is_not_tried_again(tmp_path: Path, what: str) -> None:
    """Wrong output and refusals are final."""
    wrong = {"two": Script(fault=Fault("is wrong", "opening"))} if what == "is wrong" else {}
    refused = {"two": "no such thing"} if what == "refused" else {}
    folder = ScriptedMachine(wrong, refused=refused).measure(PLAN, tmp_path)
    assert set(statuses(folder).values()) <= FINAL
    again = ScriptedMachine(wrong, refused=refused)
    again.measure(PLAN, tmp_path, resume=True)
    assert again.workers == []


def test_a_cell_that_is_new_to_a_comparison_takes_turns_with_the_others(tmp_path: Path) -> None:
    """What was measured at another hour is not its pair, though it has the same block's number."""
    one = PLAN.model_copy(update={"models": ("small",), "engines": parse_engines("one")})
    ScriptedMachine().measure(one, tmp_path)
    again = ScriptedMachine()
    again.measure(PLAN, tmp_path, resume=True)
    small = {label_of(w.spec.cell) for w in again.workers if w.spec.cell.model == "small"}
    assert small == {"one", "two", "one (ghost)"}


def test_a_new_cell_that_is_refused_measures_nothing_again(tmp_path: Path) -> None:
    """It needs a row and nothing else."""
    one = PLAN.model_copy(update={"engines": parse_engines("one")})
    ScriptedMachine().measure(one, tmp_path)
    again = ScriptedMachine(refused={"two": "no such thing"})
    folder = again.measure(PLAN, tmp_path, resume=True)
    assert again.workers == []
    assert statuses(folder)["small", "two"] == "unsupported"


def test_going_on_leaves_no_ghost_of_the_run_before(tmp_path: Path) -> None:
    """Where the reference is another one now, the old one's ghost has no pair any more."""

    def ghosts(cells: dict[str, CellData]) -> list[str]:
        return [label_of(data.cell) for data in cells.values() if data.cell.replica]

    small = PLAN.model_copy(update={"models": ("small",)})
    dead = Script(fault=Fault("dies", "loading"))
    ScriptedMachine({"two": dead}).measure(small, tmp_path)
    swapped = small.model_copy(update={"engines": parse_engines("two", "one")})
    folder = ScriptedMachine().measure(swapped, tmp_path, resume=True)
    assert ghosts(folder.cells()) == ["two (ghost)"]


def test_going_on_without_a_cell_that_is_stored_is_refused(tmp_path: Path) -> None:
    """Its times would stand beside those of another hour; one line says what to do."""
    small = PLAN.model_copy(update={"models": ("small",)})
    ScriptedMachine().measure(small, tmp_path)
    other = small.model_copy(update={"engines": parse_engines("one", "three")})
    again = ScriptedMachine()
    with pytest.raises(InputError, match=r"holds small on two .*another --out"):
        again.measure(other, tmp_path, resume=True)
    assert again.workers == []
    again.measure(small.model_copy(update={"engines": parse_engines("one")}), tmp_path, resume=True)
    assert again.workers == []
