"""How a run spends its seconds."""

from pathlib import Path

import pytest

from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Axes, Plan
from rtfbench.results.estimate import SESSIONS_FOR_RANKS
from rtfbench.results.lines import SLOTS

from .scripted import Fault, Script, ScriptedMachine

#: So many cells take turns: two engines and the ghost.
CELLS = 3
BLOCK_S = SLOTS * CELLS * (1 + 10) * Script().chunk_s
#: No interval is ever as narrow as is asked for, and yet every block takes as long as was said.
NEVER = Script(luck=1e-4)
PRECISION = 1e-7


def plan(blocks: float, *sweep: Axes, models: tuple[str, ...] = ("small", "large")) -> Plan:
    """Return a comparison of two engines for each model; the budget is so many blocks."""
    return Plan(
        models=models,
        engines=parse_engines("one", "two"),
        protocols=("steady",),
        budget_s=blocks * BLOCK_S,
        half_width=PRECISION,
        sweep=sweep,
    )


def axes(model: str, **changes: object) -> Axes:
    """Return a sweep of one comparison."""
    fields = {"models": (model,), "engines": ("one", "two"), "protocols": ("steady",)}
    return Axes.model_validate(fields | changes)


def slots(machine: ScriptedMachine, model: str) -> int:
    """Return how many turns a model's cells took."""
    return sum(turn.model == model for turn in machine.turns)


def sessions(machine: ScriptedMachine, model: str) -> int:
    """Return how many sessions a model was measured in."""
    return len({turn.session for turn in machine.turns if turn.model == model})


@pytest.mark.parametrize("blocks", [0.01, 1.2, 4.3, 12.1, 100])
@pytest.mark.parametrize("script", [Script(), NEVER])
def test_a_run_spends_its_budget_and_a_block_a_comparison_at_most(
    tmp_path: Path, blocks: float, script: Script
) -> None:
    """A comparison that gets no time is measured in one block all the same, never in more."""
    machine = ScriptedMachine({"one": script})
    machine.measure(plan(blocks), tmp_path)
    assert slots(machine, "small") >= SLOTS * CELLS
    assert slots(machine, "large") >= SLOTS * CELLS
    assert machine.measured_s <= 1.001 * (blocks + 2) * BLOCK_S


def test_what_cannot_be_decided_gets_the_budget(tmp_path: Path) -> None:
    """Time is left only where it is too short for the sessions of another look."""
    machine = ScriptedMachine({"one": NEVER})
    machine.measure(plan(100), tmp_path)
    assert machine.measured_s > 0.75 * 100 * BLOCK_S


def test_loading_is_not_measuring(tmp_path: Path) -> None:
    """Models that take long to load get the same blocks: only the wall clock sees it."""
    quick, slow = ScriptedMachine(), ScriptedMachine({"one": Script(load_s=50)})
    quick.measure(plan(10), tmp_path / "quick")
    slow.measure(plan(10), tmp_path / "slow")
    assert slow.clock() > quick.clock() + 500
    assert slow.turns == quick.turns


def test_a_short_budget_gives_fewer_sessions(tmp_path: Path) -> None:
    """Sessions are given up one by one, down to a single one of one block."""
    found = []
    for blocks in (0.5, 1.2, 3.2, 5.2, 6.2):
        machine = ScriptedMachine({"one": NEVER})
        machine.measure(plan(blocks, models=("small",)), tmp_path / str(blocks))
        assert slots(machine, "small") == SLOTS * CELLS * sessions(machine, "small")
        found.append(sessions(machine, "small"))
    assert found == [1, 1, 3, 5, SESSIONS_FOR_RANKS]


def test_weights_share_the_budget(tmp_path: Path) -> None:
    """A comparison of three times the weight is measured three times as long."""
    machine = ScriptedMachine({"one": NEVER})
    few = {"sessions": 2}
    weighed = plan(134, axes("small", weight=1, **few), axes("large", weight=3, **few))
    # Everything is narrow enough, so that nothing is given out a second time.
    machine.measure(weighed.model_copy(update={"half_width": 1.0}), tmp_path)
    assert slots(machine, "large") / slots(machine, "small") == pytest.approx(3, rel=0.1)


def test_what_one_comparison_leaves_goes_to_the_undecided(tmp_path: Path) -> None:
    """A quiet comparison ends at its first look; the other goes on with the quiet one's time."""
    machine = ScriptedMachine({"noisy": NEVER})
    noisy = axes("large", engines=parse_engines("one", "noisy"))
    machine.measure(plan(100, axes("small"), noisy), tmp_path)
    assert sessions(machine, "large") > sessions(machine, "small")
    assert slots(machine, "large") > 0.6 * 100 * SLOTS * CELLS
    assert machine.measured_s <= 102 * BLOCK_S


@pytest.mark.parametrize(("surprise", "blocks"), [(2.0, 20), (5.0, 8)])
def test_chunks_that_turn_out_slower_cost_blocks_and_not_time(
    tmp_path: Path, surprise: float, blocks: int
) -> None:
    """With one look, its sessions are measured all the same, each with fewer blocks."""
    slow = Script(surprise=surprise)
    machine = ScriptedMachine({"one": slow, "two": slow})
    machine.measure(plan(blocks, models=("small",)), tmp_path)
    assert sessions(machine, "small") == 6
    first, *later = [
        len({turn.block for turn in machine.turns if turn.session == number}) for number in range(6)
    ]
    assert max(later) < first
    assert machine.measured_s <= 1.01 * max(blocks, first + len(later)) * BLOCK_S


def test_waiting_in_vain_is_no_measuring(tmp_path: Path) -> None:
    """A cell that hangs takes no time from the budget of those that are measured after it."""
    hangs = Script(fault=Fault("is silent", "measuring"))
    healthy, hanging = ScriptedMachine(), ScriptedMachine({"small: two": hangs})
    for machine in (healthy, hanging):
        asked = plan(48).model_copy(update={"timeout_s": 100 * BLOCK_S})
        machine.measure(asked, tmp_path / str(machine is hanging))
    assert slots(hanging, "large") >= slots(healthy, "large")
