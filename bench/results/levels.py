"""An absolute RTF and how sure it is (pure), and so energy: of this host, at this hour.

What a slot took is divided by the audio that it computed, padding included, because that is what
time is nearly proportional to: so slots of different utterances can be compared, and nothing is
estimated from the very times that are judged. Luck that a process draws lasts as long as a session,
so the interval rests on sessions, however many slots each has.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rtfbench.base.values import Interval, grouped
from rtfbench.results import protocols
from rtfbench.results.records import Health, Record
from rtfbench.results.stats import level_interval

NS_PER_S = 1e9


class Level(NamedTuple):
    """Time, or another cost, over true duration; its 95 % interval, None of a single session."""

    rtf: float
    ci95: Interval | None


#: Records that were measured in one turn, and several such turns.
Slot = Sequence[Record]
Slots = Sequence[Slot]
#: What a record cost: its time, or something else that is spent.
Cost = Callable[[Record], float]


def _time_ns(record: Record) -> float:
    return record.processing_ns


def rtf_level(slots: Slots, protocol: str) -> Level | None:
    """Return the level of a cell's complete slots, None without any."""
    return level_of(slots, protocol, _time_ns)


def level_of(slots: Slots, protocol: str, cost: Cost) -> Level | None:
    """Return what a nanosecond of audio costs, None without slots.

    A session's level is the median of its slots', on the log scale; the figure is the geometric
    mean of the sessions, and its interval Student's.
    """
    by_session = slot_levels(slots, protocol, cost)
    if not by_session:
        return None
    sessions = [math.exp(statistics.median(logs)) for logs in by_session.values()]
    padded = 1 / (1 - padded_share([record for slot in slots for record in slot]))
    interval = level_interval(sessions)
    return Level(
        statistics.geometric_mean(sessions) * padded,
        interval and (interval[0] * padded, interval[1] * padded),
    )


def slot_levels(slots: Slots, protocol: str, cost: Cost = _time_ns) -> dict[int, list[float]]:
    """Return log(cost / audio that was computed) of every slot, by session.

    Under a protocol whose contrast takes all, such as the published one, the first run of an
    utterance may cost more than its others, so a value takes as many slots as hold every utterance.
    """
    everything = {record.utterance for slot in slots for record in slot}
    takes_all = protocols.named(protocol).contrast_takes_all
    found: dict[int, list[float]] = {}
    for some in _cycles(slots, everything) if takes_all else ([slot] for slot in slots):
        records = [record for slot in some for record in slot]
        spent = sum(map(cost, records))
        computed_ns = sum(record.padded_audio_ns for record in records)
        found.setdefault(records[0].session, []).append(math.log(spent / computed_ns))
    return found


def _cycles(slots: Slots, everything: set[str]) -> Iterator[list[Slot]]:
    """Yield slots of one session that hold every utterance together, the first of each block first.

    A session that was cut short before it came round gives all that it has.
    """
    turns: dict[int, tuple[list[Slot], list[Slot]]] = {}
    for slot in slots:
        first, second = turns.setdefault(slot[0].session, ([], []))
        is_second = any(slot[0].block == each[0].block for each in first)
        (second if is_second else first).append(slot)
    for first, second in turns.values():
        yield from [*_whole(first, everything), *_whole(second, everything)] or [first + second]


def _whole(slots: Slots, everything: set[str]) -> Iterator[list[Slot]]:
    cycle: list[Slot] = []
    for slot in slots:
        cycle.append(slot)
        if {record.utterance for each in cycle for record in each} == everything:
            yield cycle
            cycle = []


def pass_s(slots: Slots, protocol: str) -> list[float]:
    """Return the seconds of a pass through all utterances as each slot tells them."""
    by_session = slot_levels(slots, protocol)
    each = {record.utterance: record for slot in slots for record in slot}.values()
    computed_s = sum(record.padded_audio_ns for record in each) / NS_PER_S
    return [computed_s * math.exp(level) for logs in by_session.values() for level in logs]


def padded_share(records: Sequence[Record]) -> float:
    """Return which share of the audio that is computed only fills up last chunks."""
    each = {record.utterance: record for record in records}.values()
    return 1 - sum(r.audio_ns for r in each) / sum(r.padded_audio_ns for r in each)


#: Microjoules a nanosecond of audio -> joules an hour of audio.
J_PER_H = 1e3 * 3600
#: Session and device -> microjoules that it spends a nanosecond while nothing runs.
Idle = Mapping[tuple[int, str], float]


def idle_of(lines: Iterable[Health]) -> Idle:
    """Return the idle power of each session of a comparison: the median of its blocks'."""
    found = grouped(
        ((line.session, device), uj / line.idle_ns)
        for line in lines
        if line.idle_ns
        for device, uj in line.idle_uj.items()
    )
    return {key: statistics.median(values) for key, values in found.items()}


def energy_figures(slots: Slots, protocol: str, device: str, idle: Idle) -> dict[str, Any]:
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

    costs: dict[str, Cost] = {"energy": lambda record: record.energy_uj or 0}
    if all(sum(map(above, slot)) > 0 for slot in slots):
        costs["energy_above_idle"] = above
    found: dict[str, Any] = {}
    for name, cost in costs.items():
        level = level_of(slots, protocol, cost)
        assert level is not None
        interval = level.ci95 and (level.ci95[0] * J_PER_H, level.ci95[1] * J_PER_H)
        found |= {f"{name}_j_per_h": level.rtf * J_PER_H, f"{name}_ci95": interval}
    return found
