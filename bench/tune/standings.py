"""What leads a race, what is surely slower, and what cannot be told from the leader (pure).

All configurations take turns in the same blocks. A session's value is its log ratio to the leader;
`rtfbench.results.sequential` decides as it does for a gate: what is surely slower is dropped, over
all rivals and looks together, and what is surely less than the margin faster is tied.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rtfbench.base.values import Interval
from rtfbench.results.contrasts import contrasts_by_session, prior_of, stratum_of
from rtfbench.results.moderated import SessionValues
from rtfbench.results.sequential import LOOKS, Case, decide, sessions_needed
from rtfbench.results.stats import hodges_lehmann
from rtfbench.results.store import CellData

#: How often a race may drop the fastest, over all rivals and looks.
ALPHA = 0.05
#: What is by no more than this slower than the leader is near it.
NEAR = 0.01

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
    """Return how every configuration of those that run stands, the leader first.

    Every session holds the reference and its ghost, which differs from it only as much as the
    machine misleads.
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
    first = leader.declaration.cell_id
    sessions = len({record.session for record in leader.records})
    return ranked(
        Standing(first, "leads", 1.0, None, math.exp(levels[first]), sessions),
        [
            Rival(
                cell_id=data.declaration.cell_id,
                level=math.exp(levels[data.declaration.cell_id]),
                values=_values(data, leader, misled),
                stratum=stratum_of(data.cell, leader.cell),
                prior=prior_of(data.cell, leader.cell),
            )
            for data in rivals
        ],
        rules,
    )


@dataclass(frozen=True)
class Rival:
    """What is known of one that does not lead.

    `values` are log ratios to the leader, and those of the ghost; `level` is its time over the
    reference's. Rivals of one `stratum` tell of each other's scatter, `prior` is what sessions are
    assumed to differ, and `blur` what the ratio may be off besides.
    """

    cell_id: str
    level: float
    values: SessionValues
    stratum: Hashable
    prior: float
    blur: float = 0.0


def ranked(leader: Standing, rivals: Sequence[Rival], rules: Rules) -> list[Standing]:
    """Return how the leader and its rivals stand."""
    found = [leader]
    for index, rival in enumerate(rivals):
        others = [
            each.values
            for other, each in enumerate(rivals)
            if other != index and each.stratum == rival.stratum
        ]
        found.append(_standing(rival, others, rules))
    return found


def near_leader(found: Iterable[Standing]) -> list[Standing]:
    """Return what may be named in the leader's place, the leader among it.

    What cannot be told from the leader is near, whatever its estimate: noise shall not decide.
    """
    return [
        each
        for each in found
        if each.ratio <= 1 + NEAR or (each.interval is not None and each.interval[0] <= 1)
    ]


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


def _standing(rival: Rival, others: Sequence[SessionValues], rules: Rules) -> Standing:
    own, name, level = rival.values, rival.cell_id, rival.level
    sessions = len(own.u)
    if sessions < LOOKS[0]:
        ratio = math.exp(own.u[0]) if own.u else math.nan
        return Standing(name, "open", ratio, None, level, sessions)
    case = partial(Case, prior=rival.prior, cells=rules.rivals, alpha=ALPHA)
    slack, margin = rules.slack + rival.blur, rules.margin - rival.blur
    slower = decide(case(own, margin=slack, limit=None, others=others))
    # Seen from the leader: how much faster than it this one may be.
    turned = case(_turned(own), margin=slack, limit=margin, others=[*map(_turned, others)])
    faster = decide(turned)
    assert slower is not None
    assert faster is not None
    low, high = slower.ci95
    interval = low * math.exp(-rival.blur), high * math.exp(rival.blur)
    stands = partial(Standing, name, ratio=slower.ratio, interval=interval, level=level)
    if slower.answer == "regression":
        return stands(fate="slower", sessions=sessions)
    if faster.answer == "pass":
        return stands(fate="tied", sessions=sessions)
    return stands(fate="open", sessions=sessions, needed=sessions_needed(turned))


def _turned(values: SessionValues) -> SessionValues:
    return SessionValues(tuple(-value for value in values.u), values.v)
