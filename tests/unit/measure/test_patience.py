"""How often a turn is taken, and when that ends."""

from rtfbench.measure.context import GIVES_UP, GIVES_UP_CELL, Patience

TRIES = 4


def lose(patience: Patience, cell: str) -> int:
    """Take a cell's turn, which is always disturbed, and return how often."""
    tries = patience.tries(cell)
    counted = [patience.counts(cell, quiet=False, took_s=1.0) for _ in range(tries)]
    patience.end(cell, quiet=False)
    assert counted == ([True] if tries == 1 else [False] * TRIES)
    return tries


def win(patience: Patience, cell: str) -> None:
    """Take a cell's turn, which is quiet."""
    assert patience.counts(cell, quiet=True, took_s=1.0)
    patience.end(cell, quiet=True)


def test_who_is_busy_all_the_time_is_not_waited_for() -> None:
    """Some turns in a row end it for all cells, and one that is quiet brings it back."""
    patience = Patience(TRIES)
    found = [lose(patience, str(number)) for number in range(GIVES_UP + 2)]
    assert found == [TRIES] * GIVES_UP + [1, 1]
    assert (patience.taken, patience.discarded) == (TRIES * GIVES_UP + 2, TRIES * GIVES_UP)
    win(patience, "0")
    assert patience.tries("0") == TRIES


def test_turns_longer_than_the_pauses_are_not_waited_for() -> None:
    """One cell's turns end it for that cell only."""
    patience = Patience(TRIES)
    for _ in range(GIVES_UP_CELL):
        assert lose(patience, "long") == TRIES
        win(patience, "short")
    assert patience.tries("long") == 1
    assert patience.tries("short") == TRIES
    win(patience, "long")
    assert patience.tries("long") == TRIES
