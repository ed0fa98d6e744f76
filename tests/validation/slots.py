"""A machine with a known truth, for many runs at once: the log time of every slot.

It drifts, a neighbour comes and goes, slots have spikes, a session starts slowly, and each process
draws luck that lasts as long as it. What `simulate` draws slot by slot for one run is here an array
for many.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SLOTS = 2
#: Places of the cells that take turns.
REFERENCE, ENGINE, OTHER, GHOST = range(4)
CELLS = 4


@dataclass(frozen=True)
class Machine:
    """How times vary, on the log scale; a neighbour's two shares are a slot's chances."""

    name: str
    luck: float = 0.01
    noise: float = 0.02
    drift: float = 0.0
    spike_share: float = 0.0
    spike: float = 0.5
    neighbour: float = 0.0
    comes: float = 0.03
    goes: float = 0.06
    start: float = 0.0


@dataclass(frozen=True)
class Layout:
    """How a run is cut: sessions, blocks each, and portions that the utterances are split into."""

    sessions: int
    blocks: int
    portions: int = 1


#: How far a slot's level remembers that of the slot before.
MEMORY = 0.97
START_SLOTS = 6.0


@cache
def level_of(machine: Machine, blocks: int) -> float:
    """Return the log time of the median slot in sessions of so many blocks, in the long run.

    That is what an RTF is of: spikes are no part of it, and a slow start is one of short sessions.
    """
    rng = np.random.default_rng(0)
    return float(np.median(draw(rng, machine, trials=6000, sessions=1, blocks=blocks)))


def draw(
    rng: np.random.Generator, machine: Machine, *, trials: int, sessions: int, blocks: int
) -> Floats:
    """Return log times: [trial, session, block, cell, slot of the block]."""
    turns = SLOTS * CELLS
    shape = (trials, sessions, blocks)
    # A block is a palindrome of a random order.
    order = rng.permuted(np.broadcast_to(np.arange(CELLS), (*shape, CELLS)), axis=-1)
    places = np.argsort(order, axis=-1)
    at = np.stack([places, turns - 1 - places], axis=-1)
    level = _levels(rng, machine, (trials, sessions), blocks * turns)
    level = level.reshape(*shape, 1, turns)
    found = np.take_along_axis(np.broadcast_to(level, (*shape, CELLS, turns)), at, axis=-1)
    found = found + rng.normal(0, machine.luck, (trials, sessions, 1, CELLS, 1))
    found += rng.normal(0, machine.noise, found.shape)
    spikes = rng.random(found.shape) < machine.spike_share
    found += machine.spike * spikes * rng.standard_exponential(found.shape)
    return np.asarray(found, np.float64)


def _levels(
    rng: np.random.Generator, machine: Machine, shape: tuple[int, int], slots: int
) -> Floats:
    """Return what the machine does to every slot of a session, whichever cell has it."""
    levels = np.zeros((*shape, slots))
    now = rng.standard_normal(shape)
    busy = rng.random(shape) < machine.comes / (machine.comes + machine.goes)
    for slot in range(slots):
        levels[..., slot] = machine.drift * now + machine.neighbour * busy
        now = MEMORY * now + np.sqrt(1 - MEMORY**2) * rng.standard_normal(shape)
        changes = rng.random(shape) < np.where(busy, machine.goes, machine.comes)
        busy = busy ^ changes
    return levels + machine.start * np.exp(-np.arange(slots) / START_SLOTS)


#: From calm to hardly usable: luck 0.5 to 5 %, noise of a slot 1 to 10 %.
MACHINES = (
    Machine("calm", luck=0.005, noise=0.01),
    Machine("usual", luck=0.02, noise=0.04),
    Machine("rough", luck=0.05, noise=0.10),
    Machine("drifting", luck=0.01, noise=0.02, drift=0.05, start=0.1),
    Machine("with spikes", luck=0.01, noise=0.02, spike_share=0.08),
    Machine("with a neighbour", luck=0.01, noise=0.02, neighbour=0.47),
)
LAYOUTS = tuple(
    Layout(sessions, blocks, portions)
    for sessions in (1, 2, 3, 4, 5, 6, 8)
    for blocks in (1, 2, 4)
    for portions in (1, 3)
)
