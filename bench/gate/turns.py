"""Who gets the next session of a gate, until every cell has its answer or time is up."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bench.gate.verdict import Ruling, undecided
from bench.results.sequential import LOOKS


class Turn(Protocol):
    """A cell that can be measured for a session more.

    `session_s` is how long its last one took, `failed` whether it has ended early.
    """

    @property
    def name(self) -> str:
        """Its name in the rulings."""
        ...

    @property
    def sessions(self) -> int:
        """How many were measured."""
        ...

    @property
    def session_s(self) -> float:
        """Seconds that the last one took."""
        ...

    @property
    def failed(self) -> bool:
        """Whether no more can be measured."""
        ...

    def measure_session(self) -> None:
        """Measure one more."""
        ...


def take_turns(
    cells: Sequence[Turn],
    rule: Callable[[bool], list[Ruling]],
    *,
    budget_s: float,
    spent_s: Callable[[], float],
    advance: Callable[[float], None] = lambda _: None,
) -> list[Ruling]:
    """Return the rulings of all cells.

    Cells that are not decided get a session each, in turns, until all are or the next session does
    not fit what is left of the budget. The first session of each is measured whatever it takes.

    Args:
        cells: what is gated.
        rule: judges what was measured so far; is told whether this is the end.
        budget_s: seconds that all of it may take.
        spent_s: returns how many it took so far.
        advance: is told which share of the budget is spent.
    """
    while True:
        waiting = set(undecided(rule(False)))
        more = False
        for each in cells:
            if each.name not in waiting or each.failed or each.sessions >= LOOKS[-1]:
                continue
            if each.session_s <= budget_s - spent_s() or not each.sessions:
                each.measure_session()
                more = True
            advance(min(spent_s() / budget_s, 1.0))
        if not more:
            advance(1.0)
            return rule(True)
