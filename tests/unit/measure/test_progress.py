"""What a run tells while it goes on."""

import re
from pathlib import Path

import pytest

from bench.plan.sweep import Plan

from .scripted import Fault, Script, ScriptedMachine

PLAN = Plan(models=("small", "large"), engines=("one", "two"), protocols=("steady",))


class Told:
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.notes: list[str] = []
        self.shares: list[float] = []

    def phase(self, text: str) -> None:
        """Remember what begins."""
        self.phases.append(text)

    def step(self, text: str) -> None:
        """Remember it among the phases."""
        self.phases.append(text)

    def note(self, text: str) -> None:
        """Remember what the user should know."""
        self.notes.append(text)

    def advance(self, done: float) -> None:
        """Remember how much is done."""
        self.shares.append(done)


def told(machine: ScriptedMachine, path: Path, *, budget_s: float) -> Told:
    """Return what a run of two comparisons said."""
    progress = Told()
    plan = PLAN.model_copy(update={"budget_s": budget_s})
    machine.measure(plan, path, progress=progress)
    return progress


@pytest.mark.parametrize("budget_s", [1, 300, 3000])
@pytest.mark.parametrize("luck", [0.0, 0.1])
def test_the_share_that_is_done_grows_to_one(tmp_path: Path, budget_s: float, luck: float) -> None:
    """It never falls, is never over 1 though the budget may be, and ends at 1."""
    shares = told(ScriptedMachine({"one": Script(luck=luck)}), tmp_path, budget_s=budget_s).shares
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1.0
    assert max(shares) == 1.0
    assert len(shares) >= 3


def test_a_run_in_which_nothing_could_be_measured_is_done_all_the_same(tmp_path: Path) -> None:
    """The bar does not stay where it was."""
    dead = Script(fault=Fault("dies", "loading"))
    shares = told(ScriptedMachine({"one": dead, "two": dead}), tmp_path, budget_s=100).shares
    assert shares[-1] == 1.0


def test_phases_count_sessions_and_blocks_from_one(tmp_path: Path) -> None:
    """Each session is told when it loads, then each of its blocks, with what is measured."""
    machine = ScriptedMachine()
    phases = told(machine, tmp_path, budget_s=1000).phases
    expected: list[str] = []
    for turn in machine.turns:
        text = f"session {turn.session + 1}, block {turn.block + 1} of "
        if turn.position == 0:
            expected += [f"session {turn.session + 1}: loading "] * (turn.block == 0)
            expected.append(text)
    assert len(phases) == len(expected)
    assert all(p.startswith(e) for p, e in zip(phases, expected, strict=True))
    models = [turn.model for turn in machine.turns if turn.position == 0]
    blocks = [phase for phase in phases if ", block " in phase]
    assert all(f": {model}, " in phase for model, phase in zip(models, blocks, strict=True))
    for phase in blocks:
        match = re.search(r"block (\d+) of (\d+)", phase)
        assert match is not None
        assert int(match[1]) <= int(match[2])


def test_a_budget_that_does_not_reach_all_utterances_says_so_before(tmp_path: Path) -> None:
    """Five long recordings, time for two blocks: how many are reached, and what reaches all."""
    chunks = dict.fromkeys(("one", "two", "three", "four", "five"), 10)

    def notes(budget_s: int) -> list[str]:
        plan = Plan(engines=("one", "two"), protocols=("steady",), budget_s=budget_s)
        progress = Told()
        machine = ScriptedMachine(chunks=chunks)
        machine.measure(plan, tmp_path / str(budget_s), progress=progress)
        return progress.notes

    (short,) = notes(2)
    assert "the budget reaches 1 of 5 utterances; about 5.0 times as much reaches all" in short
    assert notes(2000) == []
