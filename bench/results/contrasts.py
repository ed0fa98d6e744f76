"""From records to ratios (pure): what two cells took in the same blocks."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.results.cells import Cell
from bench.results.lines import PRECISION, SLOTS, Course, Record
from bench.results.rows import Ratio
from bench.results.stats import ALPHA_PER_LOOK, RatioEstimate, ratio_estimate
from bench.results.store import CellData

#: How often an interval may miss where no course says it.
ALPHA = ALPHA_PER_LOOK[1]

PartNs = Callable[[Record], int]


class Block(NamedTuple):
    """The number of a block within its session."""

    session: int
    number: int


def group_ratios(group: Sequence[CellData], course: Course | None) -> list[Ratio]:
    """Return the ratio of every cell to its group's first that is ok; replicas are left out."""
    original = [data for data in group if is_ok(data) and not data.cell.replica]
    if not original:
        return []
    alpha = course.alpha if course else ALPHA
    precision = course.precision if course else PRECISION
    return [
        ratio_of(data.cell, original[0].cell, estimate, precision)
        for data in original[1:]
        for estimate in [estimate_ratio(data, original[0], alpha=alpha)]
        if estimate is not None
    ]


def estimate_ratio(data: CellData, reference: CellData, *, alpha: float) -> RatioEstimate | None:
    """Estimate how many times as long a cell takes as another of its group."""
    return ratio_estimate(contrasts(data, reference), alpha=alpha)


def ratio_of(cell: Cell, reference: Cell, estimate: RatioEstimate, precision: float) -> Ratio:
    """Return an estimate with the names of what was compared."""
    return Ratio(
        model=cell.model,
        threads=cell.threads,
        chunk_samples=cell.chunk_samples,
        protocol=cell.protocol,
        engine=cell.engine_label,
        form=cell.form,
        reference=reference.engine_label,
        reference_form=reference.form,
        ratio=estimate.ratio,
        ci95=estimate.interval,
        blocks=estimate.blocks,
        sessions=estimate.sessions,
        decided=estimate.half_width <= precision,
    )


def contrasts(
    data: CellData, reference: CellData, *, part_ns: PartNs = lambda record: record.processing_ns
) -> list[list[float]]:
    """Return log(time of the cell / time of the reference), a list a session."""
    return list(contrasts_by_session(data, reference, part_ns=part_ns).values())


def contrasts_by_session(
    data: CellData, reference: CellData, *, part_ns: PartNs = lambda record: record.processing_ns
) -> dict[int, list[float]]:
    """Return the same with each session's number.

    Args:
        data: the cell.
        reference: another of its group.
        part_ns: which time of a record.

    Under the steady protocol each block gives a value. Under the published one the ratio depends
    on an utterance's length, so a value takes as many blocks as hold every utterance.
    """
    ours, theirs = block_times(data, part_ns), block_times(reference, part_ns)
    shared = sorted(ours.keys() & theirs.keys())
    everything = {name for times in ours.values() for name in times}
    published = data.cell.protocol == "published"
    found: dict[int, list[float]] = {}
    for blocks in _cycles(shared, ours, everything) if published else ([b] for b in shared):
        ours_ns = sum(sum(ours[block].values()) for block in blocks)
        theirs_ns = sum(sum(theirs[block].values()) for block in blocks)
        found.setdefault(blocks[0].session, []).append(math.log(ours_ns / theirs_ns))
    return found


def block_times(data: CellData, part_ns: PartNs) -> dict[Block, dict[str, float]]:
    """Return utterance -> nanoseconds for every block that is complete.

    The time is the geometric mean of an utterance's two slots, so that a drift that is linear on
    the log scale cancels.
    """
    slots: dict[Block, dict[int, dict[str, int]]] = {}
    for record in data.records:
        block = slots.setdefault(Block(record.session, record.block), {})
        block.setdefault(record.position, {})[record.utterance] = max(part_ns(record), 1)
    return {
        block: {name: statistics.geometric_mean(s[name] for s in pair) for name in pair[0]}
        for block, by_position in slots.items()
        for pair in [list(by_position.values())]
        if len(pair) == SLOTS and pair[0].keys() == pair[1].keys()
    }


def _cycles(
    blocks: Sequence[Block], times: dict[Block, dict[str, float]], everything: set[str]
) -> Iterator[list[Block]]:
    """Yield runs of blocks of one session that hold every utterance."""
    cycle: list[Block] = []
    for block in blocks:
        if cycle and cycle[0].session != block.session:
            cycle = []
        cycle.append(block)
        if {name for each in cycle for name in times[each]} == everything:
            yield cycle
            cycle = []


def complete_slots(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records of every slot; one that was cut short is left out.

    A slot is complete when the other slot of its block holds the same utterances, or when it holds
    all that any slot holds.
    """
    slots: dict[tuple[Block, int], list[Record]] = {}
    for record in records:
        key = (Block(record.session, record.block), record.position)
        slots.setdefault(key, []).append(record)
    longest = max(map(len, slots.values()), default=0)
    sizes: dict[Block, list[int]] = {}
    for (block, _), found in slots.items():
        sizes.setdefault(block, []).append(len(found))
    return [
        found
        for (block, _), found in slots.items()
        if len(found) == longest or sizes[block].count(len(found)) == SLOTS
    ]


def is_ok(data: CellData) -> bool:
    """Say whether a cell ended well, or is on its way without having failed."""
    return data.outcome is None or data.outcome.status == "ok"
