"""Which lengths come when, and what their times and the memory after them tell (pure)."""

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.lengths import EngineLengths, LengthCost
from bench.results.stats import (
    exponential,
    hodges_lehmann,
    signed_rank_interval,
    student_interval,
)

#: One to six seconds of speech.
SHORTEST, LONGEST = 100, 600
#: So many lengths, each of which comes once a round, and is run so often in a row.
LENGTHS, ROUNDS, IN_A_ROW = 10, 25, 2
#: Growth of memory is looked at after so many rounds.
WARM_ROUNDS = 2
#: The end is the median of so many rounds.
LAST_ROUNDS = 5
BYTES_PER_MB, BYTES_PER_KB, NS_PER_MS = 1e6, 1e3, 1e6


@dataclass(frozen=True)
class Visited:
    """A length that came: nanoseconds and resident bytes after each of its runs in a row."""

    num_frames: int
    ns: tuple[int, ...]
    rss_bytes: tuple[int, ...]
    #: The largest difference to the embedding of its first visit, over its largest value.
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
    if len(rounds) < WARM_ROUNDS:
        return found
    costs = _costs(rounds)
    first = [math.log(cost.first_ms / cost.back_ms) for cost in costs]
    back = [math.log(cost.back_ms / cost.again_ms) for cost in costs]
    sizes = [_memory(each) for each in rounds]
    runs = sum(len(visit.ns) for visit in rounds[0])
    growth_kb = [
        (after - before) / runs / BYTES_PER_KB
        for before, after in itertools.pairwise(sizes[WARM_ROUNDS - 1 :])
    ]
    update = {
        "lengths": costs,
        "growth_kb": statistics.fmean(growth_kb) if growth_kb else None,
        "growth_kb_ci95": student_interval(growth_kb),
        "settled_mb": (statistics.median(sizes[-LAST_ROUNDS:]) - rounds[0][-1].rss_bytes[-1])
        / BYTES_PER_MB,
        "first": math.exp(hodges_lehmann(first)),
        "first_ci95": exponential(signed_rank_interval(first)),
        "back": math.exp(hodges_lehmann(back)),
        "back_ci95": exponential(signed_rank_interval(back)),
        "moved": max(visit.moved for each in rounds for visit in each),
    }
    return found.model_copy(update=update)


def _costs(rounds: Sequence[Sequence[Visited]]) -> tuple[LengthCost, ...]:
    """Return every length's times, from short to long."""
    visits: dict[int, list[Visited]] = {}
    for each in rounds:
        for visit in each:
            visits.setdefault(visit.num_frames, []).append(visit)
    return tuple(
        LengthCost(
            num_frames=frames,
            first_ms=first.ns[0] / NS_PER_MS,
            back_ms=statistics.median(visit.ns[0] for visit in later) / NS_PER_MS,
            again_ms=statistics.median(ns for visit in later for ns in visit.ns[1:]) / NS_PER_MS,
            memory_mb=_memory(later) / BYTES_PER_MB,
        )
        for frames, (first, *later) in sorted(visits.items())
    )


def _memory(visits: Sequence[Visited]) -> float:
    """Return the median resident size; in a round every length counts the same."""
    return statistics.median(size for visit in visits for size in visit.rss_bytes)
