"""Whole gates replayed from a bank, through the judge and the turns of the real one.

Candidate, baseline and ghost are three processes of a recorded session, drawn anew for each; what
the candidate shall be slower by is added. Milliseconds a gate, so that rare errors can be counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtfbench.gate.measure import take_turns
from rtfbench.gate.verdict import Answer, Evidence, Ruling, judge, overall
from rtfbench.report import figures
from rtfbench.report.markdown import grid
from rtfbench.results.moderated import SessionValues
from rtfbench.results.sequential import last_look
from rtfbench.results.stats import hodges_lehmann
from tests.validation.bank import CRITERIA, PER_UNIT, PROCESSES, Bank
from tests.validation.rates import rate

Floats = npt.NDArray[np.float64]

#: What is slowed, and by which margin a gate calls it so.
GATED = "RTF"
#: A gate's session has half of the processes of a bank's, and takes about half of its time.
SHARE_OF_SESSION = 0.5


class Deck:
    """A bank's sessions as the centre of every pair of processes: [session, process, process]."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.seconds = [SHARE_OF_SESSION * each.seconds for each in bank.sessions]
        self.centres: Mapping[str, Floats] = {
            criterion.name: np.stack([_pairs(s.logs[criterion.name]) for s in bank.sessions])
            for criterion in CRITERIA
        }

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """Return which processes play candidate, baseline and ghost."""
        environments = self.bank.head.environments
        if len(set(environments)) == 1:
            candidate, baseline, ghost = rng.permutation(PROCESSES)[:3]
            return int(candidate), int(baseline), int(ghost)
        ours, theirs = (
            rng.permutation([n for n, each in enumerate(environments) if each == side])
            for side in rng.permutation(2)
        )
        return int(ours[0]), int(theirs[0]), int(theirs[1])


def _pairs(logs: Sequence[Sequence[int]]) -> Floats:
    """Return the centre of log(row / column) over the blocks of a session."""
    blocks = min(map(len, logs))
    values = np.array([[0] * blocks, *(each[:blocks] for each in logs)]) / PER_UNIT
    found = np.zeros((len(values), len(values)))
    for row in range(len(values)):
        for column in range(row):
            found[row, column] = hodges_lehmann(values[row] - values[column])
    return np.asarray(found - found.T, np.float64)


@dataclass
class Clock:
    """Seconds that a replayed gate would have taken."""

    seconds: float = 0.0


@dataclass
class ReplayedCell:
    """A cell whose sessions come from a deck; the candidate takes `ratio` times as long."""

    name: str
    deck: Deck
    ratio: float
    rng: np.random.Generator
    clock: Clock
    failed: bool = False
    session_s: float = 0.0
    sessions: int = 0
    _order: list[int] = field(default_factory=list)
    _values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._order = [int(each) for each in self.rng.permutation(len(self.deck.seconds))]
        self._values = {criterion.name: [] for criterion in CRITERIA}

    def measure_session(self) -> None:
        """Take the next session; a bank that is used up begins again."""
        number = self._order[self.sessions % len(self._order)]
        candidate, baseline, ghost = self.deck.draw(self.rng)
        for name, values in self._values.items():
            pairs = self.deck.centres[name][number]
            u = (pairs[candidate, baseline] + pairs[candidate, ghost]) / 2
            added = math.log(self.ratio) if name == GATED else 0.0
            values.append((float(u) + added, float(pairs[ghost, baseline])))
        self.session_s = self.deck.seconds[number]
        self.clock.seconds += self.session_s
        self.sessions += 1

    def seen(self) -> Evidence:
        """Return what the judge sees."""
        values = {
            name: SessionValues(tuple(u for u, _ in each), tuple(v for _, v in each))
            for name, each in self._values.items()
        }
        head, prior = self.deck.bank.head, self.deck.bank.prior
        return Evidence(self.name, (head.cell.protocol, head.name), prior, self.session_s, values)


@dataclass(frozen=True)
class Replayed:
    """What one replayed gate said: of the first cell, and of whatever else was called slower.

    `holds` says whether the first cell's 95 % interval has the true ratio in it, None without one.
    """

    answer: Answer
    slower: bool
    holds: bool | None
    elsewhere: tuple[str, ...]
    seconds: float


def replay_gate(
    decks: Sequence[Deck], *, ratio: float, budget_s: float, rng: np.random.Generator
) -> Replayed:
    """Run a gate of one cell a deck; the first one's candidate takes `ratio` times as long."""
    clock = Clock()
    cells = [
        ReplayedCell(f"cell {number}", deck, 1.0 if number else ratio, rng, clock)
        for number, deck in enumerate(decks)
    ]

    judged: list[int] = []
    kept: list[Ruling] = []

    def rule(final: bool) -> list[Ruling]:
        nonlocal judged, kept
        looks = [last_look(each.sessions) for each in cells]
        if final or looks != judged:  # between two looks nothing is new to the judge
            seen = [each.seen() for each in cells]
            judged, kept = looks, judge(seen, CRITERIA, budget_s=budget_s, final=final)
        return kept

    rulings = take_turns(cells, rule, budget_s=budget_s, spent_s=lambda: clock.seconds)
    alarms = [(each.cell, each.criterion) for each in rulings if each.answer == "regression"]
    first = ("cell 0", GATED)
    (interval,) = [each.interval for each in rulings if (each.cell, each.criterion) == first]
    return Replayed(
        answer=overall(rulings),
        slower=first in alarms,
        holds=None if interval is None else interval[0] <= ratio <= interval[1],
        elsewhere=tuple(f"{cell}: {name}" for cell, name in alarms if (cell, name) != first),
        seconds=clock.seconds,
    )


@dataclass(frozen=True)
class ReplayRow:
    """Many gates of a bank with one true ratio."""

    bank: str
    cells: int
    ratio: float
    gates: int
    slower: int
    passed: int
    inconclusive: int
    elsewhere: int
    holds: int
    intervals: int
    seconds: float


def replay_gates(
    deck: Deck, *, ratio: float, cells: int, budget_s: float, gates: int, seed: int
) -> ReplayRow:
    """Replay gates of so many cells of a bank."""
    rng = np.random.default_rng([seed, cells, round(1000 * ratio)])
    found = [
        replay_gate([deck] * cells, ratio=ratio, budget_s=budget_s, rng=rng) for _ in range(gates)
    ]
    return ReplayRow(
        bank=deck.bank.head.name,
        cells=cells,
        ratio=ratio,
        gates=gates,
        slower=sum(each.slower for each in found),
        passed=sum(each.answer == "pass" for each in found),
        inconclusive=sum(each.answer == "inconclusive" for each in found),
        elsewhere=sum(bool(each.elsewhere) for each in found),
        holds=sum(each.holds is True for each in found),
        intervals=sum(each.holds is not None for each in found),
        seconds=float(np.median([each.seconds for each in found])),
    )


def replay_table(rows: Sequence[ReplayRow]) -> str:
    """Return a row for each bank, number of cells and true ratio."""
    lines = [["bank", "cells", "true ratio", "called slower", "pass", "inconclusive"]]
    lines[0] += ["other alarms", "interval holds", "seconds, median"]
    lines += [
        [
            row.bank,
            str(row.cells),
            f"{row.ratio:.2f}",
            *(
                rate(count, row.gates)
                for count in (row.slower, row.passed, row.inconclusive, row.elsewhere)
            ),
            rate(row.holds, row.intervals) if row.intervals else figures.MISSING,
            f"{row.seconds:.0f}",
        ]
        for row in rows
    ]
    return grid(lines, [False, *[True] * 8])
