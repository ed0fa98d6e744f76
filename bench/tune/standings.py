"""Who leads a race, who is surely slower, and who cannot be told from the leader (pure).

All configurations take turns in the same blocks. A session's value is its log ratio to the leader;
`bench.results.sequential` decides as it does for a gate: who is surely slower is dropped, over all
rivals and looks together, and who is surely less than the margin faster is tied.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from bench.base.values import Interval
from bench.results.contrasts import contrasts_by_session, prior_of, stratum_of
from bench.results.moderated import SessionValues
from bench.results.sequential import LOOKS, decide, sessions_needed
from bench.results.stats import hodges_lehmann
from bench.results.store import CellData

#: How often a race may drop the fastest, over all rivals and looks.
ALPHA = 0.05

Fate = Literal["leads", "tied", "open", "slower"]


@dataclass(frozen=True)
class Standing:
    """A configuration in the race.

    `ratio` is its time over the leader's, `interval` its 95 % interval, `level` its time over the
    reference's. `needed` is after how many sessions an open one would be decided, None where that
    cannot be said.
    """

    cell_id: str
    fate: Fate
    ratio: float
    interval: Interval | None
    level: float
    sessions: int
    needed: int | None = None


@dataclass(frozen=True)
class Rules:
    """What counts as slower, and as no difference.

    A rival is dropped once it is surely slower by more than `slack`, and tied once it is surely
    less than `margin` faster. `rivals` is how many there were in all.
    """

    slack: float
    margin: float
    rivals: int


def standings(
    running: Sequence[CellData], reference: CellData, ghost: CellData, rules: Rules
) -> list[Standing]:
    """Return how every configuration stands, the leader first.

    Args:
        running: those in the race, the reference among them or not.
        reference: what every session holds.
        ghost: the reference once more: it differs from it only as much as the machine misleads.
        rules: see there.
    """
    levels = {data.declaration.cell_id: _level(data, reference) for data in running}
    known = sorted(
        (data for data in running if math.isfinite(levels[data.declaration.cell_id])),
        key=lambda data: levels[data.declaration.cell_id],
    )
    if not known:
        return []
    leader, *rivals = known
    misled = contrasts_by_session(ghost, reference)
    values = [_values(data, leader, misled) for data in rivals]
    strata = [stratum_of(data.cell, leader.cell) for data in rivals]
    found = [
        Standing(
            cell_id=leader.declaration.cell_id,
            fate="leads",
            ratio=1.0,
            interval=None,
            level=math.exp(levels[leader.declaration.cell_id]),
            sessions=len({record.session for record in leader.records}),
        )
    ]
    for index, data in enumerate(rivals):
        others = [
            each
            for other, each in enumerate(values)
            if other != index and strata[other] == strata[index]
        ]
        level = math.exp(levels[data.declaration.cell_id])
        prior = prior_of(data.cell, leader.cell)
        name = data.declaration.cell_id
        found.append(_standing(name, level, values[index], others, prior, rules))
    return found


def _level(data: CellData, reference: CellData) -> float:
    """Return the log ratio to the reference; infinite where no block has both."""
    if data is reference:
        return 0.0
    centres = [hodges_lehmann(blocks) for blocks in contrasts_by_session(data, reference).values()]
    return sum(centres) / len(centres) if centres else math.inf


def _values(
    data: CellData, leader: CellData, misled: Mapping[int, Sequence[float]]
) -> SessionValues:
    """Return the values of the sessions that have both, and the ghost."""
    found = contrasts_by_session(data, leader)
    both = sorted(found.keys() & misled.keys())
    return SessionValues(
        u=tuple(hodges_lehmann(found[number]) for number in both),
        v=tuple(hodges_lehmann(misled[number]) for number in both),
    )


def _standing(
    name: str,
    level: float,
    own: SessionValues,
    others: Sequence[SessionValues],
    prior: float,
    rules: Rules,
) -> Standing:
    sessions = len(own.u)
    if sessions < LOOKS[0]:
        ratio = math.exp(own.u[0]) if own.u else math.nan
        return Standing(name, "open", ratio, None, level, sessions)
    judge = partial(decide, prior=prior, cells=rules.rivals, alpha=ALPHA)
    slower = judge(own, margin=rules.slack, limit=None, others=others)
    # Seen from the leader: how much faster than it this one may be.
    turned, others = _turned(own), [*map(_turned, others)]
    faster = judge(turned, margin=rules.slack, limit=rules.margin, others=others)
    assert slower is not None
    assert faster is not None
    stands = partial(Standing, name, ratio=slower.ratio, interval=slower.ci95, level=level)
    if slower.answer == "regression":
        return stands(fate="slower", sessions=sessions)
    if faster.answer == "pass":
        return stands(fate="tied", sessions=sessions)
    needed = sessions_needed(
        turned,
        margin=rules.slack,
        limit=rules.margin,
        others=others,
        prior=prior,
        cells=rules.rivals,
        alpha=ALPHA,
    )
    return stands(fate="open", sessions=sessions, needed=needed)


def _turned(values: SessionValues) -> SessionValues:
    return SessionValues(tuple(-value for value in values.u), values.v)
