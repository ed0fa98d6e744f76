"""A simulated machine with a known truth: does the interval hold it as often as it says?

The machine is as bad as shared ones are: a slow random walk, a neighbour that comes and goes and
costs a factor of 1.6, spikes in 8 % of the slots, a start of every session that is slower than the
rest, and luck that each process draws anew. The mutations are what one would do more simply; they
show that the simulation can tell a good method from a bad one.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rtfbench.base.values import Interval
from rtfbench.measure.schedule import MOST_LOOKS, block_turns
from rtfbench.results.estimate import ratio_estimate
from rtfbench.results.stats import (
    ALPHA_PER_LOOK,
    relative_half_width,
    student_interval,
)

CELLS = ("reference", "engine", "third", "ghost")
#: Sessions before the first look, and their blocks, as a run of a minute has them.
SESSIONS, BLOCKS = 6, 4


@dataclass(frozen=True)
class SimulatedMachine:
    """How times vary; all but the probabilities on the log scale, a slot at a time."""

    walk: float = 0.01
    neighbour: float = math.log(1.6)
    neighbour_comes: float = 0.03
    neighbour_goes: float = 0.06
    spike_share: float = 0.08
    spike: float = math.log(2.0)
    slot_noise: float = 0.01
    process_luck: float = 0.005
    start: float = math.log(1.5)
    start_slots: float = 6.0


@dataclass(frozen=True)
class Slot:
    """A simulated time."""

    session: int
    block: int
    cell: str
    time: float


@dataclass(frozen=True)
class Run:
    """How long a run is."""

    sessions: int
    blocks: int


@dataclass(frozen=True)
class Result:
    """What many simulated runs amount to."""

    trials: int
    coverage: float
    half_width: float


Order = Callable[[int, int, int], Sequence[str]]
Method = Callable[[Sequence[Slot]], Interval]


def palindromes(session: int, block: int, seed: int) -> list[str]:
    """Return the order that a run uses."""
    return block_turns(CELLS, block=block, seed=seed, session=session)


def fixed_order(session: int, block: int, seed: int) -> list[str]:
    """Always the same order, twice."""
    return [*CELLS, *CELLS]


def simulate(
    machine: SimulatedMachine, order: Order, run: Run, *, ratio: float, seed: int
) -> list[Slot]:
    """Return the times of one run in which `engine` takes `ratio` times as long."""
    rng = np.random.default_rng(seed)
    truth = {"engine": math.log(ratio)}
    level, neighbour = 0.0, False
    slots = []
    for session in range(run.sessions):
        luck = {cell: rng.normal(0, machine.process_luck) for cell in CELLS}
        for block in range(run.blocks):
            for turn, cell in enumerate(order(session, block, seed)):
                since = block * 2 * len(CELLS) + turn
                level += rng.normal(0, machine.walk)
                goes = machine.neighbour_goes if neighbour else machine.neighbour_comes
                neighbour ^= bool(rng.random() < goes)
                spike = machine.spike * rng.exponential() * (rng.random() < machine.spike_share)
                logarithm = (
                    level
                    + machine.neighbour * neighbour
                    + machine.start * math.exp(-since / machine.start_slots)
                    + truth.get(cell, 0.0)
                    + luck[cell]
                    + spike
                    + rng.normal(0, machine.slot_noise)
                )
                slots.append(Slot(session, block, cell, math.exp(logarithm)))
    return slots


def paired(slots: Sequence[Slot], *, alpha: float = 0.05) -> Interval:
    """Return the interval of a run's own method."""
    logs: dict[int, dict[int, dict[str, float]]] = {}
    for slot in slots:
        block = logs.setdefault(slot.session, {}).setdefault(slot.block, {})
        block[slot.cell] = block.get(slot.cell, 0.0) + math.log(slot.time) / 2
    estimate = ratio_estimate(
        [[b["engine"] - b["reference"] for b in blocks.values()] for blocks in logs.values()],
        alpha=alpha,
    )
    assert estimate is not None
    assert estimate.interval is not None
    return estimate.interval


def unpaired(slots: Sequence[Slot]) -> Interval:
    """Treat the slots of both as two independent samples (Welch's interval of the logarithms)."""
    ours, theirs = (
        [math.log(slot.time) for slot in slots if slot.cell == cell]
        for cell in ("engine", "reference")
    )
    middle = statistics.fmean(ours) - statistics.fmean(theirs)
    error = math.sqrt(
        statistics.variance(ours) / len(ours) + statistics.variance(theirs) / len(theirs)
    )
    return math.exp(middle - 1.96 * error), math.exp(middle + 1.96 * error)


def means(slots: Sequence[Slot]) -> Interval:
    """Divide mean times, a session at a time, in place of medians of paired logarithms."""
    times: dict[tuple[int, str], list[float]] = {}
    for slot in slots:
        times.setdefault((slot.session, slot.cell), []).append(slot.time)
    logs = [
        math.log(statistics.fmean(found) / statistics.fmean(times[session, "reference"]))
        for (session, cell), found in times.items()
        if cell == "engine"
    ]
    interval = student_interval(logs)
    assert interval is not None
    return math.exp(interval[0]), math.exp(interval[1])


#: What is tried: the method, and what it would be without one of its parts.
VARIANTS: Mapping[str, tuple[Order, Method]] = MappingProxyType(
    {
        "as built": (palindromes, paired),
        "fixed order": (fixed_order, paired),
        "unpaired": (palindromes, unpaired),
        "means": (palindromes, means),
    }
)


def try_variant(
    name: str,
    *,
    machine: SimulatedMachine | None = None,
    trials: int = 1000,
    sessions: int = SESSIONS,
    blocks: int = BLOCKS,
    ratio: float = 1.03,
) -> Result:
    """Return how often a variant's 95 % interval holds the truth, and its median half width."""
    order, method = VARIANTS[name]
    run = Run(sessions, blocks)
    hits, widths = 0, []
    for seed in range(trials):
        low, high = method(
            simulate(machine or SimulatedMachine(), order, run, ratio=ratio, seed=seed)
        )
        hits += low <= ratio <= high
        widths.append(relative_half_width((low, high)))
    return Result(trials, hits / trials, statistics.median(widths))


def try_stopping(
    precision: float,
    *,
    machine: SimulatedMachine | None = None,
    trials: int = 1000,
    ratio: float = 1.03,
) -> Result:
    """Return the same of runs that end at the first look at which the interval is narrow enough."""
    looks = [SESSIONS * 2**index for index in range(MOST_LOOKS)]
    alpha = ALPHA_PER_LOOK[len(looks)]
    run = Run(looks[-1], BLOCKS)
    hits, widths = 0, []
    for seed in range(trials):
        slots = simulate(machine or SimulatedMachine(), palindromes, run, ratio=ratio, seed=seed)
        for look in looks:
            low, high = paired([slot for slot in slots if slot.session < look], alpha=alpha)
            if relative_half_width((low, high)) <= precision:
                break
        hits += low <= ratio <= high
        widths.append(relative_half_width((low, high)))
    return Result(trials, hits / trials, statistics.median(widths))
