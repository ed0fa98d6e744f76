"""From records to ratios (pure): what two cells took in the same blocks."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from bench.results.cells import Cell
from bench.results.estimate import RatioEstimate, ratio_estimate, session_centres
from bench.results.lines import PRECISION, SLOTS, Course, Record
from bench.results.moderated import prior_spread
from bench.results.rows import Ratio
from bench.results.stats import ALPHA_PER_LOOK
from bench.results.store import CellData

#: How often an interval may miss where no course says it.
ALPHA = ALPHA_PER_LOOK[1]

PartNs = Callable[[Record], int]


class Block(NamedTuple):
    """The number of a block within its session."""

    session: int
    number: int


class Compared(NamedTuple):
    """A cell and its group's reference, and how the group was measured."""

    data: CellData
    reference: CellData
    course: Course | None

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """Both cells, the reference last."""
        return self.data.cell, self.reference.cell


def stratum_of(cell: Cell, reference: Cell) -> tuple[str, ...]:
    """Return what pairs have in common whose sessions differ alike: engines, forms, protocol."""
    sides = (cell.engine_label, cell.form, reference.engine_label, reference.form)
    return (cell.protocol, *sides)


def prior_of(cell: Cell, reference: Cell) -> float:
    """Return how much a pair's sessions are assumed to differ, a standard deviation."""
    return max(prior_spread(protocol=each.protocol, form=each.form) for each in (cell, reference))


def run_ratios(groups: Iterable[Sequence[CellData]]) -> list[Ratio]:
    """Return the ratio of every cell to its group's first that is ok; replicas are left out.

    Where sessions are few, the pairs of the other groups that compare the same engines tell how
    much sessions differ.
    """
    pairs = [
        Compared(data, original[0], course_of(group))
        for group in groups
        for original in [[data for data in group if is_ok(data) and not data.cell.replica]]
        for data in original[1:]
    ]
    found = [contrasts(pair.data, pair.reference) for pair in pairs]
    centres = [session_centres(by_session) for by_session in found]
    strata = [stratum_of(*pair.cells) for pair in pairs]
    ratios = []
    for pair, by_session, own, stratum in zip(pairs, found, centres, strata, strict=True):
        others = [
            theirs
            for other, theirs in zip(strata, centres, strict=True)
            if theirs is not own and other == stratum
        ]
        alpha = pair.course.alpha if pair.course else ALPHA
        estimate = ratio_estimate(
            by_session, alpha=alpha, others=others, prior=prior_of(*pair.cells)
        )
        if estimate is not None:
            precision = pair.course.precision if pair.course else PRECISION
            ratios.append(ratio_of(pair, estimate, precision))
    return ratios


def course_of(group: Sequence[CellData]) -> Course | None:
    """Return how a group was measured; its first cell that could be measured holds it."""
    return next((data.course for data in group if data.course is not None), None)


def estimate_ratio(data: CellData, reference: CellData, *, alpha: float) -> RatioEstimate | None:
    """Estimate how many times as long a cell takes as another of its group."""
    prior = prior_of(data.cell, reference.cell)
    return ratio_estimate(contrasts(data, reference), alpha=alpha, prior=prior)


def ratio_of(pair: Compared, estimate: RatioEstimate, precision: float) -> Ratio:
    """Return an estimate with the names of what was compared."""
    cell, reference = pair.cells
    return Ratio(
        model=cell.model,
        threads=cell.threads,
        chunk_samples=cell.chunk_samples,
        protocol=cell.protocol,
        jobs=cell.jobs,
        batch=cell.batch,
        engine=cell.engine_label,
        form=cell.form,
        reference=reference.engine_label,
        reference_form=reference.form,
        ratio=estimate.ratio,
        ci95=estimate.interval,
        blocks=estimate.blocks,
        sessions=estimate.sessions,
        df=estimate.df,
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
