"""What a run tells while it goes on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtfbench.base.pace import Progress
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Plan, load_plan

from .scripted import Fault, Script, ScriptedMachine

PLAN = Plan(models=("small", "large"), engines=parse_engines("one", "two"), protocols=("steady",))


class Told(Progress):
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.notes: list[str] = []
        #: When it was told, the most and the least that were left.
        self.left_s: list[tuple[float, float, float]] = []
        self.clock: Callable[[], float] = lambda: 0.0

    def phase(self, text: str) -> None:
        """Remember what begins."""
        self.phases.append(text)

    def step(self, text: str) -> None:
        """Remember it among the phases."""
        self.phases.append(text)

    def note(self, text: str) -> None:
        """Remember what the user should know."""
        self.notes.append(text)

    def left(self, most_s: float, least_s: float | None = None) -> None:
        """Remember what is left."""
        self.left_s.append((self.clock(), most_s, most_s if least_s is None else least_s))


def told(machine: ScriptedMachine, path: Path, **changes: object) -> Told:
    """Return what a run of two comparisons said."""
    progress = Told()
    progress.clock = machine.clock
    machine.measure(PLAN.model_copy(update=changes), path, progress=progress)
    return progress


#: Within this factor of the truth is what is told of the time that is left.
WITHIN = 1.3
HOSTS: dict[str, tuple[Mapping[str, Script], float | None]] = {
    "fast": ({"one": Script(chunk_s=0.004), "two": Script(chunk_s=0.003)}, None),
    "slow": ({"one": Script(chunk_s=0.4), "two": Script(chunk_s=0.9)}, None),
    "drifting": ({"one": Script(luck=0.1, noise=0.1), "two": Script(luck=0.1, noise=0.1)}, 9.0),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("budget_s", [20, 600])
@pytest.mark.parametrize("sessions", [3, 6])
def test_the_time_that_is_left_is_true(
    tmp_path: Path, host: str, budget_s: float, sessions: int
) -> None:
    """From the first tenth on, the end comes between the least and the most, by a factor of 1.3.

    Nothing is told before a process was started, and at the end nothing is left.
    """
    scripts, busy_s = HOSTS[host]
    machine = ScriptedMachine(scripts, chunks=dict.fromkeys("abcd", 10), busy_s=busy_s)
    check_times(told(machine, tmp_path, budget_s=budget_s, sessions=sessions))


@pytest.mark.parametrize("budget_s", [60, 120, 300])
@pytest.mark.parametrize("chunk_s", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("load_s", [0.2, 1.0])
@pytest.mark.parametrize("proof_s", [0.0, 3.0])
def test_comparisons_of_other_lengths_are_foreseen(
    tmp_path: Path, budget_s: float, chunk_s: float, load_s: float, proof_s: float
) -> None:
    """The same of `make bench`, where fresh sessions, chunk sizes and numbers of sessions differ.

    In the end the widest get what is left, session by session, whose processes start anew, and
    prove nothing.
    """
    changes: dict[str, Any] = {"models": ("small",), "engines": ENGINES, "budget_s": budget_s}
    times = Script(chunk_s, load_s, proof_s)
    check_sweep(Path("bench"), changes, tmp_path, times)


@pytest.mark.parametrize("rate_per_s", [2.0, 20.0])
def test_a_pass_takes_as_long_as_its_requests_arrive(tmp_path: Path, rate_per_s: float) -> None:
    """What is told before the first pass of requests knows at which rate they arrive."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'models = ["small"]\nprotocols = ["steady", "server"]\nsessions = 3\nbudget_s = 60\n'
    )
    changes: dict[str, Any] = {"engines": ENGINES, "rates": (rate_per_s,)}
    check_sweep(plan, changes, tmp_path / "run", Script(chunk_s=0.02, load_s=0.2))


ENGINES = parse_engines("one", "two", "three")


def check_sweep(plan: Path, changes: dict[str, Any], path: Path, slowest: Script) -> None:
    """Measure a plan on a machine whose chunks take in proportion to their length."""
    slow = replace(slowest, luck=0.02, noise=0.05)
    fast = replace(slow, chunk_s=0.6 * slow.chunk_s)
    scripts = {"one": slow, "two": replace(fast, load_s=3 * slow.load_s), "three": fast}
    machine = ScriptedMachine(scripts, chunks=dict.fromkeys("abcdef", 3), in_proportion=True)
    progress = Told()
    progress.clock = machine.clock
    machine.measure(load_plan(plan, changes), path, progress=progress)
    check_times(progress)


def check_times(progress: Told) -> None:
    """Hold what was told against when the run ended."""
    found = progress.left_s
    began_s, end_s = 0.0, found[-1][0]
    assert found[0][0] > began_s
    assert found[-1][1:] == (0.0, 0.0)
    took_s = end_s - began_s
    later = [each for each in found if took_s / 10 <= each[0] - began_s < 0.95 * took_s]
    assert later
    for at_s, most_s, least_s in later:
        # What is within a session's start of the end is no error that anybody sees.
        grace_s = 0.05 * took_s
        assert least_s / WITHIN - grace_s <= end_s - at_s <= most_s * WITHIN + grace_s


def test_a_run_in_which_nothing_could_be_measured_is_done_all_the_same(tmp_path: Path) -> None:
    """The bar does not stay where it was."""
    dead = Script(fault=Fault("dies", "loading"))
    found = told(ScriptedMachine({"one": dead, "two": dead}), tmp_path, budget_s=100).left_s
    assert [each[1:] for each in found] == [(0.0, 0.0)]


def test_phases_count_sessions_and_blocks_from_one(tmp_path: Path) -> None:
    """Cells are told as they load, then each block of a session, with what is measured."""
    machine = ScriptedMachine()
    phases = told(machine, tmp_path, budget_s=1000).phases
    expected: list[str] = []
    for turn in machine.turns:
        text = f"session {turn.session + 1}, block {turn.block + 1} of "
        if turn.position == 0:
            if turn.block == 0:
                loading = f"session {turn.session + 1}: loading"
                # Two engines, and the first of them once more.
                expected += [f"{loading} {n} of 3, {turn.model}, " for n in (1, 1, 2, 3)]
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
        plan = Plan(engines=parse_engines("one", "two"), protocols=("steady",), budget_s=budget_s)
        progress = Told()
        machine = ScriptedMachine(chunks=chunks)
        machine.measure(plan, tmp_path / str(budget_s), progress=progress)
        return progress.notes

    (short,) = notes(2)
    assert "the budget reaches 1 of 5 utterances; about 5.0 times as much reaches all" in short
    assert notes(2000) == []
