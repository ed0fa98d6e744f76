"""Which lengths come when, and what their times and the memory after them tell (pure)."""

import itertools
import math
import random
import statistics
from collections.abc import Sequence

from rtfbench.base.values import Value
from rtfbench.results.explanation import EngineLengths, LengthCost
from rtfbench.results.stats import (
    exponential,
    hodges_lehmann,
    signed_rank_interval,
    student_interval,
)

#: One to six seconds of speech.
SHORTEST, LONGEST = 100, 600
#: So many lengths, each of which comes once a round, and is run so often in a row.
LENGTHS, ROUNDS, IN_A_ROW = 10, 25, 2
#: Fewer rounds tell nothing of later ones.
FEWEST_ROUNDS = 4
BYTES_PER_MB, BYTES_PER_KB, NS_PER_MS = 1e6, 1e3, 1e6


class Visited(Value):
    """A length that came: nanoseconds, and resident bytes after, of each of its runs in a row.

    `moved` is the largest difference to the embedding of its first visit, over its largest value.
    """

    num_frames: int
    ns: tuple[int, ...]
    rss_bytes: tuple[int, ...]
    moved: float


def schedule(seed: int) -> list[list[int]]:
    """Return the rounds: random lengths, spread evenly by their logarithm, in random orders."""
    draw = random.Random(seed)
    steps = [SHORTEST * (LONGEST / SHORTEST) ** (i / LENGTHS) for i in range(LENGTHS + 1)]
    frames = [
        draw.randrange(math.ceil(low), math.ceil(high)) for low, high in itertools.pairwise(steps)
    ]
    return [draw.sample(frames, len(frames)) for _ in range(ROUNDS)]


def derive(
    engine: str, version: str, opened_bytes: int, rounds: Sequence[Sequence[Visited]]
) -> EngineLengths:
    """Derive the result from whole rounds."""
    found = EngineLengths(
        engine=engine,
        version=version,
        opened_mb=opened_bytes / BYTES_PER_MB,
        memory_mb=tuple(
            size / BYTES_PER_MB for each in rounds for visit in each for size in visit.rss_bytes
        ),
    )
    if len(rounds) < FEWEST_ROUNDS:
        return found
    first, back = _changes(rounds)
    # An arena fills in the first half; what leaks goes on.
    late = rounds[len(rounds) // 2 :]
    runs = sum(len(visit.ns) for visit in late[0])
    growth_kb = [
        (after - before) / runs / BYTES_PER_KB
        for before, after in itertools.pairwise(map(_memory, late))
    ]
    settled_mb = _settled_mb(rounds[1], late)
    update = {
        "lengths": _costs(rounds),
        "growth_kb": statistics.fmean(growth_kb),
        "growth_kb_ci95": student_interval(growth_kb),
        "settled_mb": hodges_lehmann(settled_mb),
        "settled_mb_ci95": signed_rank_interval(settled_mb),
        "first": math.exp(hodges_lehmann(first)),
        "first_ci95": exponential(signed_rank_interval(first)),
        "back": math.exp(hodges_lehmann(back)),
        "back_ci95": exponential(signed_rank_interval(back)),
        "moved": max(visit.moved for each in rounds for visit in each),
    }
    return found.model_copy(update=update)


def _changes(rounds: Sequence[Sequence[Visited]]) -> tuple[list[float], list[float]]:
    """Return what a change of length costs, at first visits and at later ones.

    A visit's first run over its second, as a logarithm: the machine is the same for both, and it
    is another one a second later.
    """
    first: list[float] = []
    back: list[float] = []
    for visits in _by_length(rounds).values():
        costs = [math.log(visit.ns[0] / visit.ns[1]) for visit in visits]
        # The session's very first run is of no length in particular.
        first += [costs[0]] if visits[0] is not rounds[0][0] else []
        back.append(statistics.median(costs[1:]))
    return first, back


def _settled_mb(second: Sequence[Visited], late: Sequence[Sequence[Visited]]) -> list[float]:
    """Return each length's memory in late rounds over that of its second visit.

    At the second visit, every length has come, and with it the longest.
    """
    return [
        (
            _memory([v for each in late for v in each if v.num_frames == visit.num_frames])
            - _memory([visit])
        )
        / BYTES_PER_MB
        for visit in second
    ]


def _costs(rounds: Sequence[Sequence[Visited]]) -> tuple[LengthCost, ...]:
    """Return every length's times, from short to long."""
    return tuple(
        LengthCost(
            num_frames=frames,
            first_ms=None if first is rounds[0][0] else first.ns[0] / NS_PER_MS,
            back_ms=statistics.median(visit.ns[0] for visit in later) / NS_PER_MS,
            again_ms=statistics.median(ns for visit in later for ns in visit.ns[1:]) / NS_PER_MS,
            memory_mb=_memory(later) / BYTES_PER_MB,
        )
        for frames, (first, *later) in sorted(_by_length(rounds).items())
    )


def _by_length(rounds: Sequence[Sequence[Visited]]) -> dict[int, list[Visited]]:
    visits: dict[int, list[Visited]] = {}
    for each in rounds:
        for visit in each:
            visits.setdefault(visit.num_frames, []).append(visit)
    return visits


def _memory(visits: Sequence[Visited]) -> float:
    """Return the median resident size; in a round every length counts the same."""
    return statistics.median(size for visit in visits for size in visit.rss_bytes)
