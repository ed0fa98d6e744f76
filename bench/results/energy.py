"""Energy by the machine's own counters (pure): joules an hour of audio, and above idle."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rtfbench.results.levels import Level, level_of
from rtfbench.results.lines import Health, Record

#: Microjoules a nanosecond of audio -> joules an hour of audio.
J_PER_H = 1e3 * 3600
#: Session and device -> microjoules that it spends a nanosecond while nothing runs.
Idle = Mapping[tuple[int, str], float]


def idle_of(lines: Iterable[Health]) -> Idle:
    """Return the idle power of each session of a comparison: the median of its blocks'."""
    found: dict[tuple[int, str], list[float]] = {}
    for line in lines:
        for device, uj in line.idle_uj.items():
            if line.idle_ns:
                found.setdefault((line.session, device), []).append(uj / line.idle_ns)
    return {key: statistics.median(values) for key, values in found.items()}


def energy_figures(
    slots: Sequence[Sequence[Record]], protocol: str, device: str, idle: Idle
) -> dict[str, Any]:
    """Return a row's figures of energy by name, none where a record has no reading.

    Above idle is what is left when idle power is taken off for as long as the record took; where
    nothing is left of some slot, or idle power was not measured, there is no such figure.
    """
    measured = [record for slot in slots for record in slot]
    if not measured or any(not r.energy_uj or not r.energy_ns for r in measured):
        return {}

    def above(record: Record) -> float:
        taken_off = idle.get((record.session, device), float("inf")) * (record.energy_ns or 0)
        return (record.energy_uj or 0) - taken_off

    found = _figure("energy", slots, protocol, lambda record: record.energy_uj or 0)
    if all(sum(map(above, slot)) > 0 for slot in slots):
        found |= _figure("energy_above_idle", slots, protocol, above)
    return found


def _figure(
    name: str,
    slots: Sequence[Sequence[Record]],
    protocol: str,
    cost: Callable[[Record], float],
) -> dict[str, Any]:
    level: Level | None = level_of(slots, protocol, cost)
    assert level is not None
    low, high = level.ci95 or (None, None)
    interval = None if low is None or high is None else (low * J_PER_H, high * J_PER_H)
    return {f"{name}_j_per_h": level.rtf * J_PER_H, f"{name}_ci95": interval}
