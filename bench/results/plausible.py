"""What the lines of an honest run have in common (pure): an edited record breaks one of these.

Cells that are compared take turns in palindromes of two slots each, block by block; a part of a
time is no longer than the whole; one recording has one duration; a cell's name is the hash of what
it says. What a changed number still agrees with is found by deriving the result again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import HOME
from rtfbench.results.cells import Cell, Condition
from rtfbench.results.host import Environment
from rtfbench.results.lines import SLOTS, Declaration, Line, Outcome
from rtfbench.results.records import Health, Record
from rtfbench.results.server import REJECTED
from rtfbench.results.store import FINAL, CellData

#: A clock of CPU time ticks in steps of up to 10 ms, and threads may outlast a call by a little.
CPU_TICKS_NS, CPU_SLACK = 20_000_000, 1.1
#: `audio_s` is rounded to milliseconds.
AUDIO_SLACK_S = 0.001


def faults(
    environment: Environment,
    lines: Sequence[Line],
    cells: Mapping[str, CellData],
    distributions: Mapping[str, str],
) -> Iterator[str]:
    """Say what cannot be as it is written; nothing for a run that nobody changed.

    `cells` are what its lines amount to; `distributions` are engine -> the distribution whose
    version its outcome tells.
    """
    yield from _out_of_order(lines)
    yield from _version_faults(environment, lines, cells, distributions)
    for data in cells.values():
        yield from _cell_faults(data)
    for group in grouped((data.cell.condition, data) for data in cells.values()).values():
        yield from _group_faults(group)
        if all(data.outcome and data.outcome.status in FINAL for data in group):
            yield from _turn_faults(group)
    yield from _audio_faults(environment, cells.values())


def _out_of_order(lines: Sequence[Line]) -> Iterator[str]:
    """A cell ends once after what was measured of it; blocks come one after another."""
    ended: set[str] = set()
    reached: dict[Condition, tuple[int, int]] = {}
    conditions: dict[str, Condition] = {}
    for line in lines:
        match line:
            case Declaration():
                conditions[line.cell_id] = line.cell.condition
                reached.pop(line.cell.condition, None)
            case Outcome():
                if line.cell_id in ended:
                    yield f"cell {line.cell_id}: ends twice"
                ended.add(line.cell_id)
                continue
            case Record() | Health():
                turn, condition = (line.session, line.block), conditions[line.cell_id]
                if turn < reached.get(condition, turn):
                    yield f"{_name(line)} of cell {line.cell_id}: stands behind a later block"
                reached[condition] = turn
        ended.discard(line.cell_id)


def _name(line: Record | Health) -> str:
    return f"{line.kind} of session {line.session}, block {line.block}"


def _version_faults(
    environment: Environment,
    lines: Iterable[Line],
    cells: Mapping[str, CellData],
    distributions: Mapping[str, str],
) -> Iterator[str]:
    """A runtime has one version, which the environment tells where it is a distribution's."""
    told: dict[str, str] = {}
    for line in lines:
        if not isinstance(line, Outcome) or not line.version or line.cell_id not in cells:
            continue
        cell = cells[line.cell_id].cell
        if told.setdefault(line.cell_id, line.version) != line.version:
            yield f"{cell.engine_label}: tells versions {told[line.cell_id]} and {line.version}"
        packaged = environment.packages.get(distributions.get(cell.engine, ""))
        if packaged and HOME not in cell.settings and packaged not in line.version:
            yield (
                f"{cell.engine_label}: its sessions told version {line.version}, and the "
                f"environment has {packaged}"
            )


def _cell_faults(data: CellData) -> Iterator[str]:
    """What one cell's lines say of each other."""
    declared, cell = data.declaration, data.cell
    if declared.derived_id != declared.cell_id:
        yield f"cell {declared.cell_id}: its name is not that of {cell.engine_label} on this file"
    for record in data.records:
        for fault in _record_faults(record, cell):
            name = record.utterance or "the queue"
            yield f"{_name(record)} of {cell.engine_label}, {name}: {fault}"


def _record_faults(record: Record, cell: Cell) -> Iterator[str]:
    """What the times of one record say of each other."""
    if record.frontend_ns + record.engine_ns > record.processing_ns:
        yield "its parts take longer than the whole"
    if not _is_scaled(record) and sum(record.chunk_ns) // cell.jobs != record.engine_ns:
        yield "its chunks do not add up to the engine's time"
    if record.copy_ns is not None and record.copy_ns > record.engine_ns:
        yield "its copies take longer than the engine"
    if record.energy_ns is not None and record.energy_ns < record.processing_ns:
        yield "its energy is that of less than its time"
    if record.padded_audio_ns < record.audio_ns:
        yield "its padded audio is shorter than the audio"
    if record.cpu_ns > record.processing_ns * cell.cores * CPU_SLACK + CPU_TICKS_NS:
        yield "it used more CPU time than its cores have"


def _is_scaled(record: Record) -> bool:
    """Say whether its times are as if rejected requests had been served: more than was measured."""
    return bool(record.own.get(REJECTED))


def _group_faults(group: Sequence[CellData]) -> Iterator[str]:
    """What cells that took turns say of each other."""
    where = _where(group)
    lines = [line for data in group for line in data.health]
    walls_ns: dict[tuple[int, int], int] = {}
    for line in lines:
        turn = (line.session, line.block)
        if turn in walls_ns:
            yield f"{where}: two lines of health for session {turn[0]}, block {turn[1]}"
        walls_ns[turn] = line.wall_ns
    spent_ns: Counter[tuple[int, int]] = Counter()
    for data in group:
        for record in data.records:
            if not _is_scaled(record):
                spent_ns[record.session, record.block] += record.processing_ns
    for turn, wall_ns in walls_ns.items():
        if spent_ns[turn] > wall_ns:
            yield (
                f"{where}: session {turn[0]}, block {turn[1]} took {wall_ns / 1e9:.3f} s by the "
                f"clock, and its records {spent_ns[turn] / 1e9:.3f} s"
            )


def _turn_faults(group: Sequence[CellData]) -> Iterator[str]:
    """What is missing from, or too many in, the turns of a comparison that came to its end."""
    where = _where(group)
    slots: dict[tuple[int, int], dict[int, list[tuple[str, str]]]] = {}
    for data in group:
        for record in data.records:
            slot = slots.setdefault((record.session, record.block), {})
            # A queue may have one recording several times, and is one record.
            name = " ".join(sorted(record.queued)) or record.utterance
            slot.setdefault(record.position, []).append((data.cell.id(""), name))
    sessions = grouped(sorted(slots))
    if list(sessions) != list(range(len(sessions))):
        yield f"{where}: of sessions there are {', '.join(map(str, sessions))}"
    for session, blocks in sessions.items():
        if blocks != list(range(len(blocks))):
            yield f"{where}: of blocks of session {session} there are {', '.join(map(str, blocks))}"
    measured = {(line.session, line.block) for data in group for line in data.health}
    for session, block in sorted(measured ^ set(slots)) if measured else ():
        yield f"{where}: session {session}, block {block} has records or health alone"
    for (session, block), positions in slots.items():
        if not _is_palindrome(positions):
            yield f"{where}: session {session}, block {block} is no whole round of turns"


def _is_palindrome(positions: Mapping[int, Sequence[tuple[str, str]]]) -> bool:
    """Whether every cell has its two slots, mirrored, and all slots the same recordings."""
    order = [positions[index] for index in sorted(positions)]
    cells = [{cell for cell, _ in slot} for slot in order]
    recordings = [sorted(name for _, name in slot) for slot in order]
    once = [len(set(slot)) == len(slot) for slot in order]
    return (
        sorted(positions) == list(range(len(positions)))
        and all(len(each) == 1 for each in cells)
        and cells == cells[::-1]
        and len(order) == SLOTS * len(set.union(*cells))
        and all(each == recordings[0] for each in recordings)
        and all(once)
    )


def _audio_faults(environment: Environment, cells: Iterable[CellData]) -> Iterator[str]:
    """One recording has one duration, and one padded duration a condition."""
    durations: dict[str, int] = {}
    padded: dict[tuple[Condition, str], int] = {}
    for data in cells:
        for record in data.records:
            if record.queued:
                continue
            name, key = record.utterance, (data.cell.condition, record.utterance)
            if durations.setdefault(name, record.audio_ns) != record.audio_ns:
                yield f"{name}: has two durations"
            if padded.setdefault(key, record.padded_audio_ns) != record.padded_audio_ns:
                yield f"{name}: has two padded durations under one condition"
    if strange := sorted(set(durations) - set(environment.audio)):
        yield f"{strange[0]}: is no recording of the environment"
    total_s = sum(durations.values()) / 1e9
    whole = set(durations) == set(environment.audio)
    if whole and abs(total_s - environment.audio_s) > AUDIO_SLACK_S:
        yield f"the recordings have {total_s:.3f} s, and the environment {environment.audio_s} s"


def _where(group: Sequence[CellData]) -> str:
    cell = group[0].cell
    return f"{cell.model}, {cell.protocol}, {cell.chunk_samples} samples, {cell.threads} threads"
