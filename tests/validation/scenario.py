"""A machine and a gate on it, for many simulated gates at once: blocks, luck and seconds.

What `simulate` simulates slot by slot is here a number a block: after pairing, drift is gone and
noise and spikes are left, and beside them the luck that each process draws.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtfbench.results.moderated import SPREAD

Floats = npt.NDArray[np.float64]

#: The sides of a cell, in the order of their arrays.
BASELINE, CANDIDATE, GHOST = range(3)
SIDES = 3
SLOTS = 2


@dataclass(frozen=True)
class Scenario:
    """A gate of some cells, of which the first `slowed` take `ratio` times as long.

    Spreads are standard deviations on the log scale, those of a process, and of a block's ratio
    without spikes. `luck_df` makes luck heavy-tailed with the same spread (Student's distribution).
    The luck of the slowed cells is `wild` times that of the others, which share their stratum.
    Of the slots, `spike_share` take longer, by `spike` on average: by default a block's ratio has a
    spread of 1.5 % in all. The budget is for each cell, and the gate's cells share it.
    """

    ratio: float = 1.0
    cells: int = 1
    slowed: int = 1
    luck: float = 0.006
    luck_df: float | None = None
    wild: float = 1.0
    noise: float = 0.0125
    spike_share: float = 0.01
    spike: float = 0.06
    chunk_s: float = 0.06
    chunks: int = 4
    blocks: int = 2
    loading_s: float = 1.2
    budget_s: float = 60.0
    margin: float = 0.02
    limit: float = 0.05
    prior: float = SPREAD

    def ratios(self) -> Floats:
        """Return each cell's true ratio."""
        return np.where(np.arange(self.cells) < self.slowed, self.ratio, 1.0)

    def lucks(self) -> Floats:
        """Return the luck of each cell's processes."""
        return self.luck * np.where(np.arange(self.cells) < self.slowed, self.wild, 1.0)

    def block_s(self, chunks: int) -> Floats:
        """Return how long a block of each cell takes; one untimed chunk begins a slot."""
        return SLOTS * (chunks + 1) * self.chunk_s * (SIDES - 1 + self.ratios())


def draw_blocks(
    rng: np.random.Generator, scenario: Scenario, cells: npt.NDArray[np.intp], *, blocks: int
) -> Floats:
    """Return log times of one session for each of these cells: [session, side, block].

    Args:
        rng: what draws them.
        scenario: the machine and its cells.
        cells: their numbers, in any order, as often as sessions are wanted.
        blocks: how many a session has.
    """
    truth = np.log(scenario.ratios())[cells]
    shape = (len(truth), SIDES, blocks)
    times = rng.standard_normal(shape) * (scenario.noise / np.sqrt(2))
    luck = scenario.lucks()[cells, None] * _luck(rng, scenario.luck_df, shape[:2])
    times += luck[:, :, None]
    # Of the two slots that make a value, a spike lengthens one: half of it on the log scale.
    spikes = rng.binomial(SLOTS, scenario.spike_share, shape)
    times += scenario.spike / SLOTS * rng.standard_gamma(spikes)
    times[:, CANDIDATE] += truth[:, None]
    return np.asarray(times, np.float64)


def _luck(rng: np.random.Generator, df: float | None, shape: tuple[int, int]) -> Floats:
    """Return draws with a standard deviation of 1."""
    if df is None:
        return np.asarray(rng.standard_normal(shape), np.float64)
    return np.asarray(math.sqrt((df - 2) / df) * rng.standard_t(df, shape), np.float64)


def centres(values: Floats) -> Floats:
    """Return Hodges and Lehmann's estimate of each row."""
    first, second = np.triu_indices(values.shape[-1])
    averages = (values[..., first] + values[..., second]) / 2
    return np.asarray(np.median(averages, axis=-1), np.float64)


def draw_values(
    rng: np.random.Generator, scenario: Scenario, cells: npt.NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return u and v of one session for each of these cells."""
    times = draw_blocks(rng, scenario, cells, blocks=scenario.blocks)
    baseline, candidate, ghost = (times[:, side] for side in (BASELINE, CANDIDATE, GHOST))
    u = (centres(candidate - baseline) + centres(candidate - ghost)) / 2
    return u, centres(ghost - baseline)
