"""Whole gates on a scripted machine: what any good rule says, however it takes its rounds."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from rtfbench.base.pace import Progress
from rtfbench.gate.measure import GatedCell, Held, run
from rtfbench.gate.verdict import Also, criteria, overall
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.results.cells import Cell
from rtfbench.results.lines import SLOTS
from rtfbench.results.store import RunFolder
from tests.unit.measure.scripted import (
    WRONG,
    Fault,
    Phase,
    Script,
    ScriptedMachine,
    prepared,
)

#: Both sides and the baseline's ghost.
BLOCK_S = SLOTS * 3 * (1 + 10) * Script().chunk_s
AMPLE_S = 60 * BLOCK_S
MODELS = ("small", "large")


def gated(model: str, context: RunContext) -> GatedCell:
    """Return a cell of the engine `old`, and of the engine `new` that is to replace it."""
    old, new = (
        prepared(
            Cell(
                model=model, engine=engine, form="dynamic", threads=1, chunk_samples=32000,
                protocol="steady",
            )
        )
        for engine in ("old", "new")
    )  # fmt: skip
    return GatedCell(model, Job.of(new), Job.of(old), context)


def gate(
    machine: ScriptedMachine,
    path: Path,
    *,
    budget_s: float = 2 * AMPLE_S,
    also: Collection[Also] = (),
) -> Held:
    """Return what a gate of two cells finds."""
    context = machine.context(RunFolder.create(path, overwrite=False, resume=False))
    asked = [gated(model, context) for model in MODELS]
    times = criteria(margin=0.02, max_regression=0.05, also=also)
    return run(asked, context, times, budget_s=budget_s, also=also)


def quiet(**scripts: Script) -> Mapping[str, Script]:
    """Return scripts for engines; what is not named has a little luck and noise."""
    usual = Script(luck=0.002, noise=0.002)
    return {"old": usual, "new": usual} | scripts


def regressions(found: Held) -> set[tuple[str, str]]:
    """Return cell and criterion of every regression."""
    return {(line.cell, line.criterion) for line in found.rulings if line.answer == "regression"}


@pytest.mark.parametrize("seed", range(3))
def test_identical_sides_pass(tmp_path: Path, seed: int) -> None:
    """Every cell and every criterion does, on a machine that is quiet."""
    found = gate(ScriptedMachine(quiet(), seed=seed), tmp_path)
    assert overall(found.rulings) == "pass"
    assert {line.cell for line in found.rulings} == set(MODELS)


@pytest.mark.parametrize("seed", range(3))
def test_a_side_that_is_20_percent_slower_is_found(tmp_path: Path, seed: int) -> None:
    """The RTF says so, by how much, and of both cells."""
    slow = Script(chunk_s=1.2 * Script().chunk_s, luck=0.002, noise=0.002)
    found = gate(ScriptedMachine(quiet(new=slow), seed=seed), tmp_path)
    assert overall(found.rulings) == "regression"
    assert {(model, "RTF") for model in MODELS} <= regressions(found)
    for line in found.rulings:
        if line.criterion == "RTF":
            assert line.ratio == pytest.approx(1.2, rel=0.02)


def test_a_side_that_is_faster_passes(tmp_path: Path) -> None:
    """A gate has one direction."""
    fast = Script(chunk_s=0.8 * Script().chunk_s, luck=0.002, noise=0.002)
    assert overall(gate(ScriptedMachine(quiet(new=fast)), tmp_path).rulings) == "pass"


@pytest.mark.parametrize("blocks", [10, 40, 120])
@pytest.mark.parametrize("slower", [1.0, 1.2])
def test_a_gate_keeps_to_its_budget(tmp_path: Path, blocks: int, slower: float) -> None:
    """It takes no longer, but for the least that is measured of every cell."""
    scripts = quiet(new=Script(chunk_s=slower * Script().chunk_s, luck=1e-3))
    least_s = gate(ScriptedMachine(scripts), tmp_path / "least", budget_s=0.1).seconds
    found = gate(ScriptedMachine(scripts), tmp_path / "whole", budget_s=blocks * BLOCK_S)
    assert found.seconds <= 1.01 * max(blocks * BLOCK_S, least_s)


def test_too_little_time_proves_nothing(tmp_path: Path) -> None:
    """Neither a pass nor a regression: one block says little, whatever it shows."""
    slow = Script(chunk_s=1.2 * Script().chunk_s)
    found = gate(ScriptedMachine(quiet(new=slow)), tmp_path, budget_s=BLOCK_S)
    assert overall(found.rulings) == "inconclusive"
    assert all(line.why for line in found.rulings if line.answer == "inconclusive")


@pytest.mark.parametrize("phase", ["loading", "opening", "measuring", "stopping"])
@pytest.mark.parametrize(("engine", "side"), [("new", "candidate"), ("old (baseline)", "baseline")])
def test_a_side_that_dies_is_told(tmp_path: Path, phase: Phase, engine: str, side: str) -> None:
    """Its line names the side and the reason, and the answer is neither pass nor regression."""
    machine = ScriptedMachine(quiet(**{engine: Script(fault=Fault("dies", phase))}))
    found = gate(machine, tmp_path)
    assert overall(found.rulings) == "inconclusive"
    told = {line.cell: line for line in found.rulings if line.criterion == side}
    assert set(told) == set(MODELS)
    assert all(line.why.startswith("worker ended early") for line in told.values())


@pytest.mark.parametrize("phase", ["opening", "measuring"])
@pytest.mark.parametrize("session", [0, 1])
def test_wrong_output_of_the_candidate_is_a_regression(
    tmp_path: Path, phase: Phase, session: int
) -> None:
    """However fast it is; the line says by how much it is wrong."""
    wrong = Script(chunk_s=0.5 * Script().chunk_s, fault=Fault("is wrong", phase, session))
    found = gate(ScriptedMachine(quiet(new=wrong)), tmp_path)
    assert regressions(found) == {(model, "parity") for model in MODELS}
    assert {line.why for line in found.rulings if line.criterion == "parity"} == {WRONG}


def test_wrong_output_of_the_baseline_is_no_regression(tmp_path: Path) -> None:
    """The candidate cannot be blamed for it: the gate has no answer."""
    wrong = {"old (baseline)": Script(fault=Fault("is wrong", "opening"))}
    found = gate(ScriptedMachine(quiet(**wrong)), tmp_path)
    assert overall(found.rulings) == "inconclusive"
    assert not regressions(found)


def test_what_happens_to_one_cell_leaves_the_others_their_answer(tmp_path: Path) -> None:
    """A cell whose side dies is no reason to say nothing of the rest."""
    machine = ScriptedMachine(quiet(**{"small: new": Script(fault=Fault("dies", "opening"))}))
    found = gate(machine, tmp_path)
    assert {line.answer for line in found.rulings if line.cell == "large"} == {"pass"}
    assert {line.answer for line in found.rulings if line.cell == "small"} == {"inconclusive"}


def test_memory_that_grew_is_a_regression(tmp_path: Path) -> None:
    """Sizes are the same every time: their limit alone decides, where memory was asked for."""
    large = Script(luck=0.002, peak_rss_bytes=2 * Script().peak_rss_bytes)
    assert overall(gate(ScriptedMachine(quiet(new=large)), tmp_path / "a").rulings) == "pass"
    found = gate(ScriptedMachine(quiet(new=large)), tmp_path / "b", also=["memory"])
    assert overall(found.rulings) == "regression"
    assert regressions(found) == {(model, "peak RSS") for model in MODELS}


def test_what_is_left_shrinks_however_soon_the_answer_comes(tmp_path: Path) -> None:
    """It is what the budget leaves at most; a gate that needs a fraction of it ends at 0."""
    found: list[tuple[float, float | None]] = []

    class Told(Progress):
        def left(self, most_s: float, least_s: float | None = None) -> None:
            found.append((most_s, least_s))

    machine = ScriptedMachine(quiet())
    folder = RunFolder.create(tmp_path, overwrite=False, resume=False)
    context = machine.context(folder, progress=Told())
    limits = criteria(margin=0.02, max_regression=0.05)
    run([gated("small", context)], context, limits, budget_s=100 * AMPLE_S)
    assert found == sorted(found, reverse=True)
    assert all(most_s < 100 * AMPLE_S for most_s, _ in found)
    assert found[-1] == (0.0, 0.0)
