"""In which order the cells of a group take turns (pure, seeded).

A block is a palindrome: a random order, then the same order reversed. Every cell then has the same
mean position in the block, so a drift that is linear over the block cancels exactly.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Turn(NamedTuple):
    """One cell's turn: `position` counts within the block."""

    block: int
    position: int
    cell_id: str


def block_turns(cell_ids: Sequence[str], *, block: int, seed: int) -> Iterator[Turn]:
    """Yield the turns of one block; the same arguments give the same order."""
    order = list(cell_ids)
    random.Random(f"{seed}/{block}").shuffle(order)
    for position, cell_id in enumerate(order + order[::-1]):
        yield Turn(block, position, cell_id)
