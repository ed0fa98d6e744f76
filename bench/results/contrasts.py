"""From records to ratios (pure): what two cells took in the same blocks."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import CPU
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.results import protocols
from rtfbench.results.cells import GHOST, Cell
from rtfbench.results.estimate import RatioEstimate, ratio_estimate, session_centres
from rtfbench.results.lines import HALF_WIDTH, SLOTS, Course
from rtfbench.results.moderated import prior_spread
from rtfbench.results.records import Record
from rtfbench.results.rows import Ratio
from rtfbench.results.stats import ALPHA_PER_LOOK
from rtfbench.results.store import CellData

#: How often an interval may miss where no course says it.
ALPHA = ALPHA_PER_LOOK[1]

PartNs = Callable[[Record], int]


class Block(NamedTuple):
    """The number of a block within its session."""

    session: int
    number: int


#: Block -> utterance -> nanoseconds, of a cell; and what gives them.
Times = dict[Block, dict[str, float]]
TimesOf = Callable[[CellData], Times]


@dataclass(frozen=True)
class _Compared:
    """A cell and its group's reference, how the group was measured, and the reference's ghost."""

    data: CellData
    reference: CellData
    course: Course | None
    ghost: CellData | None

    @cached_property
    def contrasts(self) -> list[list[float]]:
        return contrasts(self.data, self.reference)

    @cached_property
    def centres(self) -> list[float]:
        return session_centres(self.contrasts)

    @cached_property
    def stratum(self) -> tuple[str, ...]:
        return stratum_of(self.data.cell, self.reference.cell)


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
    much sessions differ, and so does the reference against its ghost.
    """
    pairs = [
        _Compared(data, original[0], course_of(group), ghost_of(original[0], group))
        for group in groups
        for original in [[data for data in group if is_ok(data) and not data.cell.replica]]
        for data in original[1:]
    ]
    ratios = []
    for pair in pairs:
        cell, reference, course = pair.data.cell, pair.reference.cell, pair.course
        alpha, half_width = (course.alpha, course.precision) if course else (ALPHA, HALF_WIDTH)
        estimate = ratio_estimate(
            pair.contrasts,
            alpha=alpha,
            others=[p.centres for p in pairs if p is not pair and p.stratum == pair.stratum],
            prior=prior_of(cell, reference),
            ghost=session_centres(contrasts(pair.ghost, pair.reference)) if pair.ghost else (),
        )
        if estimate is not None:
            ratios.append(
                Ratio(
                    **cell.condition.model_dump(),
                    engine=cell.engine_label,
                    form=cell.form,
                    reference=reference.engine_label,
                    reference_form=reference.form,
                    ratio=estimate.ratio,
                    ci95=estimate.interval,
                    blocks=estimate.blocks,
                    sessions=estimate.sessions,
                    df=estimate.df,
                    together=estimate.together(len(pairs)),
                    decided=estimate.half_width <= half_width,
                )
            )
    return ratios


def ghost_of(reference: CellData, group: Sequence[CellData]) -> CellData | None:
    """Return the reference's ghost where it was measured."""
    wanted = reference.cell.model_copy(update={"replica": GHOST})
    return next((data for data in group if data.cell == wanted and is_ok(data)), None)


def course_of(group: Sequence[CellData]) -> Course | None:
    """Return how a group was measured; its first cell that could be measured holds it."""
    return next((data.course for data in group if data.course is not None), None)


def estimate_ratio(
    data: CellData, reference: CellData, *, alpha: float, misled: Iterable[Sequence[float]] = ()
) -> RatioEstimate | None:
    """Estimate how many times as long a cell takes as another of its group.

    `misled` are the contrasts of the group's ghost with its original: of few sessions, the ratio is
    no surer than those let expect.
    """
    return ratio_estimate(
        contrasts(data, reference),
        alpha=alpha,
        prior=prior_of(data.cell, reference.cell),
        ghost=session_centres([*misled]),
    )


def contrasts(data: CellData, reference: CellData) -> list[list[float]]:
    """Return log(time of the cell / time of the reference), a list a session."""
    return list(contrasts_by_session(data, reference).values())


def contrasts_by_session(
    data: CellData, reference: CellData, times: TimesOf | None = None
) -> dict[int, list[float]]:
    """Return the same with each session's number.

    `times` gives those of a cell's blocks; `block_times` of the whole by default. Each block gives
    a value; under a protocol whose contrast takes all, such as the published one, as many blocks as
    hold every utterance do.
    """
    ours, theirs = map(times or block_times, (data, reference))
    shared = sorted(ours.keys() & theirs.keys())
    everything = {name for block in ours.values() for name in block}
    takes_all = protocols.named(data.cell.protocol).contrast_takes_all
    found: dict[int, list[float]] = {}
    for blocks in _cycles(shared, ours, everything) if takes_all else ([b] for b in shared):
        ours_ns, theirs_ns = (
            sum(sum(side[block].values()) for block in blocks) for side in (ours, theirs)
        )
        found.setdefault(blocks[0].session, []).append(math.log(ours_ns / theirs_ns))
    return found


def block_times(data: CellData, part_ns: PartNs = lambda record: record.processing_ns) -> Times:
    """Return utterance -> nanoseconds for every block that is complete.

    The time is the geometric mean of an utterance's two slots, so that a drift that is linear on
    the log scale cancels.
    """
    return {
        block: {
            name: statistics.geometric_mean(max(part_ns(slot[name]), 1) for slot in pair)
            for name in pair[0]
        }
        for block, pair in _complete_blocks(data)
    }


#: Of the chunks of a block that take equally long, so many in one stay under an undisturbed time.
FEW = 8


def undisturbed_times(data: CellData, *, most: float | None = None) -> Times:
    """Return the same as it would be had nothing taken the core away, of one process a cell.

    Whoever takes a core away only adds to times, and hits some chunks of a block and not others.
    So a chunk counts with what an eighth of its like in the block stay under, and what is left of
    an utterance, front end and averaging, with the lesser of its two slots. With `most`, a chunk
    counts with its own time, but with so many times that at most: a few long disturbances would
    else outweigh how often there are any.
    """
    cell = data.cell
    first_differs = protocols.named(cell.protocol).fresh_session
    lengths_differ = cell.chunk_samples == WHOLE_UTTERANCE

    def alike(name: str, index: int) -> tuple[str, bool]:
        return name if lengths_differ else "", first_differs and index == 0

    found: Times = {}
    for block, pair in _complete_blocks(data):
        chunks: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for slot in pair:
            for name, record in slot.items():
                for index, ns in enumerate(record.chunk_ns):
                    chunks[alike(name, index)].append(ns)
        least_ns = {kind: sorted(each)[len(each) // FEW] for kind, each in chunks.items()}
        found[block] = {}
        for name in pair[0]:
            own_ns = min(max(slot[name].processing_ns - slot[name].engine_ns, 1) for slot in pair)
            chunk_ns = [
                least if most is None else min(ns, most * least)
                for slot in pair
                for index, ns in enumerate(slot[name].chunk_ns)
                for least in [least_ns[alike(name, index)]]
            ]
            found[block][name] = own_ns + sum(chunk_ns) / SLOTS
    return found


def tells_waits(data: CellData) -> bool:
    """Say whether a cell's records tell how long others had its core: of a cell that has one."""
    cell = data.cell
    one_core = cell.device == CPU and cell.cores == 1
    return one_core and all(record.waited_ns is not None for record in data.records)


def own_times(data: CellData) -> Times:
    """Return the same without the time in which others had the core, of a cell that tells it.

    Whatever a cell waits for of its own accord stays in it. Its threads may wait for each other
    too, so that a time is at least the CPU time of all of them.
    """

    def own_ns(record: Record) -> int:
        computed_ns = min(record.cpu_ns, record.processing_ns)
        return max(record.processing_ns - (record.waited_ns or 0), computed_ns)

    return block_times(data, own_ns)


def _complete_blocks(data: CellData) -> Iterator[tuple[Block, list[Mapping[str, Record]]]]:
    """Yield the two slots of every block that has both, utterance -> record."""
    slots: dict[Block, dict[int, dict[str, Record]]] = {}
    for record in data.records:
        two = slots.setdefault(Block(record.session, record.block), {})
        two.setdefault(record.position, {})[record.utterance] = record
    for block, by_position in slots.items():
        pair: list[Mapping[str, Record]] = list(by_position.values())
        if len(pair) == SLOTS and pair[0].keys() == pair[1].keys():
            yield block, pair


def _cycles(blocks: Sequence[Block], times: Times, everything: set[str]) -> Iterator[list[Block]]:
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
    slots = grouped(((Block(each.session, each.block), each.position), each) for each in records)
    longest = max(map(len, slots.values()), default=0)
    sizes = grouped((block, len(found)) for (block, _), found in slots.items())
    return [
        found
        for (block, _), found in slots.items()
        if len(found) == longest or sizes[block].count(len(found)) == SLOTS
    ]


def is_ok(data: CellData) -> bool:
    """Say whether a cell ended well, or is on its way without having failed."""
    return data.outcome is None or data.outcome.status == "ok"
