"""Figures of energy on trial: the code that derives them, on simulated machines and counters."""

import math
from itertools import groupby

import numpy as np

from rtfbench.results.levels import J_PER_H, energy_figures, idle_of
from rtfbench.results.records import Health
from tests.validation.slots import MACHINES, REFERENCE, level_of
from tests.validation.trial import HOLDS, Tried
from tests.validation.tried_times import half, layouts_of, pooled, slots_of, true_rtf

#: Microjoules a nanosecond: what the machine spends while it computes, and while nothing runs.
BUSY, IDLE = 0.020, 0.005
#: How power varies from session to session, and readings of it from slot to slot and idle.
OF_SESSION, OF_SLOT, OF_IDLE = 0.01, 0.02, 0.03


def try_energy(trials: int, seed: int) -> list[Tried]:
    """Joules an hour of audio, whole and above idle; one line for each machine."""
    rng, rows = np.random.default_rng((seed, 7)), []
    for machine in (each for each in MACHINES if not each.neighbour):
        found: dict[str, list[tuple[bool, float]]] = {"energy": [], "energy_above_idle": []}
        for sessions, layouts in groupby(
            layouts_of(machine, seed, trials), key=lambda each: each[0].sessions
        ):
            for layout, logs in layouts if sessions > 1 else ():
                level = math.log(true_rtf(layout)) + level_of(machine, layout.blocks)
                truths = {"energy": BUSY, "energy_above_idle": BUSY - IDLE}
                for one in logs[:, :, :, REFERENCE]:
                    factors = np.exp(rng.normal(0, OF_SESSION, layout.sessions))
                    slots = [
                        [
                            record.model_copy(
                                update={
                                    "energy_uj": round(power * record.processing_ns),
                                    "energy_ns": record.processing_ns,
                                }
                            )
                            for record in slot
                        ]
                        for slot in slots_of(one, layout)
                        for spread in [math.exp(rng.normal(0, OF_SLOT))]
                        for power in [BUSY * factors[slot[0].session] * spread]
                    ]
                    lines = [
                        Health.model_construct(
                            session=session,
                            idle_ns=250_000_000,
                            idle_uj={"cpu": round(250e6 * IDLE * math.exp(rng.normal(0, OF_IDLE)))},
                        )
                        for session in range(layout.sessions)
                        for _ in range(layout.blocks)
                    ]
                    told = energy_figures(slots, "steady", "cpu", idle_of(lines))
                    for name, power in truths.items():
                        low, high = map(math.log, told[f"{name}_ci95"])
                        truth = level + math.log(power * J_PER_H)
                        found[name].append((low <= truth <= high, half(told[f"{name}_ci95"])))
        for name, all_found in found.items():
            figure = name.replace("_", " ")
            rows.append(pooled(figure, machine.name, all_found, trials, aim=HOLDS))
    return rows
