"""Do a run's intervals hold? Identical processes of a bank, as a run would compare them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtfbench.report.markdown import grid
from rtfbench.results.estimate import ratio_estimate
from tests.validation.bank import PER_UNIT, PROCESSES, Bank
from tests.validation.rates import rate

#: Sessions of a run; fewer than six are moderated, and two are provisional. A session of a bank has
#: a block or two, too few for ranks.
SESSIONS = (2, 3, 5)
TIME = "RTF"


@dataclass(frozen=True)
class IntervalRow:
    """How many intervals of so many sessions hold 1, and half of their median width, relative."""

    bank: str
    sessions: int
    intervals: int
    hold: int
    half_width: float


def replay_intervals(bank: Bank, *, sessions: int, trials: int, seed: int) -> IntervalRow:
    """Return what intervals of so many sessions of a bank say; a trial draws them anew.

    Each session gives two of its processes, in a random order. Where a bank has two environments,
    they are of one each.
    """
    rng = np.random.default_rng([seed, sessions])
    times = [np.array([[0] * len(s.logs[TIME][0]), *s.logs[TIME]]) for s in bank.sessions]
    sides = np.array(bank.head.environments)
    widths, hold = [], 0
    for _ in range(trials):
        chosen = rng.permutation(len(times))[:sessions]
        flip = rng.random() < 0.5
        contrasts = []
        for number in chosen:
            first, second = rng.permutation(PROCESSES)[:2]
            if sides.any():
                first, second = (rng.choice(np.flatnonzero(sides == side)) for side in (0, 1))
                first, second = (second, first) if flip else (first, second)
            values = (times[number][first] - times[number][second]) / PER_UNIT
            contrasts.append(values.tolist())
        found = ratio_estimate(contrasts, prior=bank.prior)
        assert found is not None
        assert found.interval is not None
        hold += found.interval[0] <= 1 <= found.interval[1]
        widths.append(found.half_width)
    return IntervalRow(bank.head.name, sessions, trials, int(hold), float(np.median(widths)))


def intervals_table(rows: Sequence[IntervalRow]) -> str:
    """Return a row for each bank and number of sessions."""
    lines = [["bank", "sessions", "95 % intervals that hold 1", "median half width"]]
    lines += [
        [
            row.bank,
            str(row.sessions),
            rate(row.hold, row.intervals),
            f"{row.half_width:.1%}",
        ]
        for row in rows
    ]
    return grid(lines, [False, True, True, True])
