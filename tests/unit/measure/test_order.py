"""Who is awake, who starts and who takes its turn when."""

from itertools import groupby
from pathlib import Path

import pytest

from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.plan import Plan
from rtfbench.results.cells import ProtocolName

from .scripted import ScriptedMachine, label_of

ENGINES = ("one", "two", "three", "four")
CHUNKS = {"a": 7, "b": 4, "c": 12, "d": 9}


def measured(path: Path, *, seed: int = 0, protocol: ProtocolName = "steady") -> ScriptedMachine:
    """Return the machine after a run of four engines."""
    machine = ScriptedMachine(chunks=CHUNKS)
    engines = parse_engines(*ENGINES)
    plan = Plan(engines=engines, protocols=(protocol,), budget_s=1000, sessions=4, seed=seed)
    machine.measure(plan, path)
    return machine


def turns_by_block(machine: ScriptedMachine) -> list[list[str]]:
    """Return the order of every block."""
    blocks = groupby(machine.turns, key=lambda turn: (turn.session, turn.block))
    return [[turn.label for turn in turns] for _, turns in blocks]


def starts_by_session(machine: ScriptedMachine) -> list[list[str]]:
    """Return in which order the processes of every session started."""
    sessions = groupby(machine.workers, key=lambda worker: worker.spec.session)
    return [[label_of(worker.spec.cell) for worker in workers] for _, workers in sessions]


@pytest.mark.parametrize("protocol", ["steady", "published"])
def test_every_block_is_a_palindrome_of_all_cells(tmp_path: Path, protocol: ProtocolName) -> None:
    """Each cell has two slots at mirrored positions, and in both the same utterances."""
    machine = measured(tmp_path, protocol=protocol)
    blocks = turns_by_block(machine)
    assert len(blocks) > 4
    for order in blocks:
        assert order == order[::-1]
        assert sorted(order[: len(order) // 2]) == sorted([*ENGINES, "one (ghost)"])
    for _, turns in groupby(machine.turns, key=lambda turn: (turn.session, turn.block)):
        found = list(turns)
        assert len({turn.utterances for turn in found}) == 1
        assert [turn.position for turn in found] == list(range(len(found)))


@pytest.mark.parametrize("protocol", ["steady", "published"])
def test_a_run_sees_every_utterance(tmp_path: Path, protocol: ProtocolName) -> None:
    """Portions follow one another from block to block; under `published` within each session."""
    turns = measured(tmp_path, protocol=protocol).turns
    sessions = {turn.session for turn in turns}
    assert {name for turn in turns for name in turn.utterances} == set(CHUNKS)
    if protocol == "published":
        for session in sessions:
            seen = {name for turn in turns if turn.session == session for name in turn.utterances}
            assert seen == set(CHUNKS)


def test_the_order_varies_from_session_to_session_and_block_to_block(tmp_path: Path) -> None:
    """No cell may always come last: where a process stands moves its times."""
    machine = measured(tmp_path)
    starts = starts_by_session(machine)
    assert len({tuple(order) for order in starts}) == len(starts) == 4
    assert len({order[-1] for order in starts}) > 1
    blocks = turns_by_block(machine)
    assert len({tuple(order) for order in blocks}) > len(blocks) / 2


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    """The same seed repeats every start and every turn; another one changes both."""
    first, again, other = (
        measured(tmp_path / str(index), seed=seed) for index, seed in enumerate((7, 7, 8))
    )
    assert first.turns == again.turns
    assert starts_by_session(first) == starts_by_session(again)
    assert turns_by_block(first) != turns_by_block(other)
    assert starts_by_session(first) != starts_by_session(other)


def test_only_one_worker_is_awake_in_a_block(tmp_path: Path) -> None:
    """The one whose turn it is: threads that spin in wait would take a core from it."""
    assert {turn.awake for turn in measured(tmp_path).turns} == {1}


def test_no_process_outlives_its_session(tmp_path: Path) -> None:
    """Sessions are fresh processes, one a cell, and one session's are gone before the next."""
    machine = measured(tmp_path)
    assert all(worker.closed for worker in machine.workers)
    assert machine.most_at_once == len(ENGINES) + 1
    assert len(machine.workers) == 4 * machine.most_at_once
