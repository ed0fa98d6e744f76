"""The order of turns."""

from collections import defaultdict

from bench.schedule import block_turns

CELLS = ["a", "b", "c", "d"]


def test_a_block_is_a_palindrome() -> None:
    """The second half of a block is the first half reversed."""
    order = [turn.cell_id for turn in block_turns(CELLS, block=3, seed=0)]
    assert sorted(order[:4]) == CELLS
    assert order == order[::-1]


def test_linear_drift_cancels() -> None:
    """Every cell has the same mean position, so a linear drift adds the same to all."""
    positions = defaultdict(list)
    for turn in block_turns(CELLS, block=0, seed=7):
        positions[turn.cell_id].append(turn.position)
    assert len({sum(found) for found in positions.values()}) == 1


def test_the_seed_decides_the_order() -> None:
    """The same seed repeats the order; blocks and seeds differ."""

    def order(block: int, seed: int) -> list[str]:
        return [turn.cell_id for turn in block_turns(CELLS, block=block, seed=seed)]

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(block, 0)) for block in range(50)}) > 10
    assert len({tuple(order(0, seed)) for seed in range(50)}) > 10
