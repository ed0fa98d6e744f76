"""How long to wait for an undisturbed turn (pure)."""

from collections import Counter

#: After so many turns in a row that never were undisturbed, whoever disturbs is there to stay; and
#: after so many of one cell, its turns are longer than the pauses.
GIVES_UP, GIVES_UP_CELL = 3, 2


class Patience:
    """Says how often a turn may be taken, and counts.

    Whoever is busy all the time slows all cells alike, and is not waited for: after some turns that
    never were undisturbed each is taken once, and counts as it is, until one is quiet again.
    """

    def __init__(self, tries: int) -> None:
        """Begin.

        Args:
            tries: how often a turn is taken at most.
        """
        self._tries = tries
        self._in_a_row = 0
        self._lost: Counter[str] = Counter()
        #: How often a turn was taken, and how often it did not count.
        self.taken, self.discarded = 0, 0

    def tries(self, cell_id: str) -> int:
        """Return how often a cell's next turn may be taken."""
        return 1 if self._gave_up(cell_id) else self._tries

    def counts(self, cell_id: str, *, quiet: bool) -> bool:
        """Say whether a turn that was taken counts."""
        self.taken += 1
        found = quiet or self._gave_up(cell_id)
        self.discarded += not found
        return found

    def end(self, cell_id: str, *, quiet: bool) -> None:
        """End a turn: it was quiet at last, or never."""
        self._in_a_row = 0 if quiet else self._in_a_row + 1
        self._lost[cell_id] = 0 if quiet else self._lost[cell_id] + 1

    def _gave_up(self, cell_id: str) -> bool:
        return self._in_a_row >= GIVES_UP or self._lost[cell_id] >= GIVES_UP_CELL
