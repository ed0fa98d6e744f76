"""The order of turns, the split of utterances and the course of a measurement."""

from collections import defaultdict

import numpy as np
import pytest

from rtfbench.measure.schedule import (
    CHUNKS_PER_SLOT,
    Schedule,
    block_turns,
    blocks_for,
    plan_course,
    portions,
    slot_chunks,
)
from rtfbench.results.stats import ALPHA_PER_LOOK, student_factor

CELLS = ["a", "b", "c", "d"]


def test_a_block_is_a_palindrome() -> None:
    """The second half of a block is the first half reversed."""
    order = block_turns(CELLS, block=3, seed=0)
    assert sorted(order[:4]) == CELLS
    assert order == order[::-1]


def test_linear_drift_cancels() -> None:
    """Every cell has the same mean position, so a linear drift adds the same to all."""
    positions = defaultdict(list)
    for position, cell_id in enumerate(block_turns(CELLS, block=0, seed=7)):
        positions[cell_id].append(position)
    assert len({sum(found) for found in positions.values()}) == 1


def test_the_seed_decides_the_order() -> None:
    """The same seed repeats the order; blocks, sessions and seeds differ."""

    def order(block: int, seed: int, session: int = 0) -> list[str]:
        return block_turns(CELLS, block=block, seed=seed, session=session)

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(block, 0)) for block in range(50)}) > 10
    assert len({tuple(order(0, seed)) for seed in range(50)}) > 10
    assert len({tuple(order(0, 0, session)) for session in range(50)}) > 10


def test_portions_fill_slots_evenly() -> None:
    """Every utterance is in one portion; a slot has about its length, or ten chunks."""
    chunks = {f"u{index}": 1 + index % 5 for index in range(40)}
    parts = portions(chunks, wanted=slot_chunks(0.02))
    assert sorted(name for part in parts for name in part) == sorted(chunks)
    sizes = [sum(chunks[name] for name in part) for part in parts]
    assert max(sizes) - min(sizes) <= 2
    assert np.mean(sizes) == pytest.approx(15, abs=1)
    slow = portions(chunks, wanted=slot_chunks(1.0))
    assert np.mean([sum(chunks[n] for n in part) for part in slow]) >= CHUNKS_PER_SLOT - 1
    assert portions({"only": 3}, wanted=slot_chunks(0.04)) == [("only",)]


@pytest.mark.parametrize(
    ("budget_s", "expected"),
    [
        (1.0, Schedule((1,), 1)),
        (10.0, Schedule((4,), 1)),
        (40.0, Schedule((6,), 2)),
        (125.0, Schedule((6, 12), 4)),
        (300.0, Schedule((6, 12, 24), 5)),
        (60.0, Schedule((6,), 4)),
    ],
)
def test_a_course_fits_its_budget(budget_s: float, expected: Schedule) -> None:
    """Sessions come first, then blocks, then further looks."""
    course = plan_course(budget_s=budget_s, block_s=2.5, sessions=6)
    assert course == expected
    assert course.looks[-1] * course.blocks * 2.5 <= max(budget_s, 2.5)


def test_looks_are_declared_for_what_others_may_leave() -> None:
    """A short share that may grow has further looks, and spends itself on the first."""
    course = plan_course(budget_s=20, block_s=2.5, sessions=6, longest_s=200)
    assert course == Schedule((6, 12), 1)
    assert course.alpha < 0.05


def test_of_no_time_there_are_no_blocks() -> None:
    """A machine that slept has less than none left."""
    assert blocks_for(budget_s=-300.0, block_s=7.0, sessions=1) == 0


def test_a_session_has_whole_cycles() -> None:
    """Where a contrast takes several blocks, no session ends in the middle of one."""
    assert plan_course(budget_s=60, block_s=2, sessions=6, cycle=3) == Schedule((6,), 3)
    assert plan_course(budget_s=300, block_s=2, sessions=6, cycle=3).blocks % 3 == 0
    assert blocks_for(budget_s=60, block_s=2, sessions=4, cycle=3) == 6
    assert blocks_for(budget_s=5, block_s=2, sessions=4) == 0


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_stopping_early_keeps_the_coverage(looks: int) -> None:
    """Whatever the spread between sessions, 95 % of the intervals hold where measuring stopped.

    20,000 runs for each of 12 spreads, from one that stops nearly all at the first look to one
    that stops none; the standard error of a share is 0.15 %.
    """
    rng = np.random.default_rng(looks)
    counts = [6 * 2**index for index in range(looks)]
    alpha = ALPHA_PER_LOOK[looks]
    for precision in np.geomspace(0.25, 4, 12):
        sessions = rng.standard_normal((20_000, counts[-1]))
        running = np.ones(len(sessions), bool)
        held = 0
        for count in counts:
            seen = sessions[:, :count]
            half = student_factor(count, alpha=alpha) * seen.std(axis=1, ddof=1)
            stops = running & ((half <= precision) | (count == counts[-1]))
            held += int((np.abs(seen.mean(axis=1)) <= half)[stops].sum())
            running &= ~stops
        assert 0.945 <= held / len(sessions) <= 0.97
