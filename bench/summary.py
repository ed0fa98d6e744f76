"""From records to rows (pure): every statistic of a run is derived here."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from bench.records import SCHEMA, Cell, CellSummary, Environment, Ratio, Record, Summary
from bench.stats import hodges_lehmann, median, median_interval, signed_rank_interval
from bench.store import CellData

NS_PER_MS = 1e6
BYTES_PER_MB = 1e6
#: A ratio is decided when its interval is at most this much, relative, to either side.
PRECISION = 0.015


def summarize(environment: Environment, cells: Sequence[CellData]) -> Summary:
    """Derive the result of a run from its lines."""
    return Summary(
        schema=SCHEMA,
        environment=environment,
        cells=tuple(map(summarize_cell, cells)),
        ratios=tuple(_ratios(cells)),
    )


def summarize_cell(data: CellData) -> CellSummary:
    """Derive a cell's row.

    The RTF of a pass is the summed processing time of all utterances over their summed true
    duration; the cell's RTF is the median over passes. A cell that is not ok shows no time.
    """
    cell, outcome = data.declaration.cell, data.outcome
    status = outcome.status if outcome else "failed"
    passes = _complete_passes(data.records) if status == "ok" else []
    rtfs = [_ratio(records, lambda r: r.processing_ns) for records in passes]
    measured = [record for records in passes for record in records]
    chunk_ns = [ns for record in measured for ns in _warm_chunks(record, cell.protocol)]
    return CellSummary(
        **cell.model_dump(),
        title=data.declaration.title,
        status=status,
        reason=outcome.reason if outcome else "the run ended before this cell did",
        version=outcome.version if outcome else "",
        build=outcome.build if outcome else "",
        note=outcome.note if outcome else "",
        params=data.declaration.params,
        flops=data.declaration.flops,
        macs=data.declaration.macs,
        flops_basis=data.declaration.flops_basis,
        about=data.declaration.about,
        artifact_bytes=data.declaration.artifact_bytes,
        denormal_share=data.declaration.denormal_share,
        passes=len(passes),
        rtf=median(rtfs),
        rtf_ci95=median_interval(rtfs),
        rtf_padded=median([_ratio_padded(records) for records in passes]),
        rtf_frontend=median([_ratio(records, lambda r: r.frontend_ns) for records in passes]),
        rtf_engine=median([_ratio(records, lambda r: r.engine_ns) for records in passes]),
        load_ms=_scaled(median([record.load_ns for record in measured]), NS_PER_MS),
        first_chunk_ms=_scaled(median([r.first_chunk_ns for r in measured]), NS_PER_MS),
        chunk_ms=_scaled(median(chunk_ns), NS_PER_MS),
        cpu_per_wall=median(
            [sum(r.cpu_ns for r in p) / sum(r.processing_ns for r in p) for p in passes]
        ),
        peak_rss_mb=_scaled(max((r.peak_rss_bytes for r in measured), default=None), BYTES_PER_MB),
        parity=outcome.parity if outcome else None,
        effective=outcome.effective if outcome else {},
    )


def _ratios(cells: Sequence[CellData]) -> Iterator[Ratio]:
    """Yield the ratio of every cell to the first of its group, both of which must be ok."""
    groups: dict[object, list[CellData]] = {}
    for data in cells:
        groups.setdefault(data.declaration.cell.group, []).append(data)
    for reference, *others in groups.values():
        for data in others:
            contrasts = _contrasts(data, reference)
            if contrasts:
                yield _ratio_to(data.declaration.cell, reference.declaration.cell, contrasts)


def _ratio_to(cell: Cell, reference: Cell, contrasts: Sequence[float]) -> Ratio:
    interval = signed_rank_interval(contrasts)
    half_width = math.inf if interval is None else (interval[1] - interval[0]) / 2
    return Ratio(
        model=cell.model,
        threads=cell.threads,
        chunk_samples=cell.chunk_samples,
        protocol=cell.protocol,
        engine=cell.engine_label,
        form=cell.form,
        reference=reference.engine_label,
        reference_form=reference.form,
        ratio=math.exp(hodges_lehmann(contrasts)),
        ci95=None if interval is None else (math.exp(interval[0]), math.exp(interval[1])),
        blocks=len(contrasts),
        sessions=1,
        decided=half_width <= PRECISION,
    )


def _contrasts(data: CellData, reference: CellData) -> list[float]:
    """Return log(time of the cell / time of the reference), one value a block that both have.

    Both passes of a block enter with their logarithm, so that a drift that is linear on the log
    scale cancels: the block is a palindrome.
    """
    ours, theirs = _log_times(data), _log_times(reference)
    return [ours[block] - theirs[block] for block in ours if block in theirs]


def _log_times(data: CellData) -> dict[int, float]:
    """Return block -> mean logarithm of the time of a pass; nothing where the cell is not ok."""
    if data.outcome is None or data.outcome.status != "ok":
        return {}
    logs: dict[int, list[float]] = {}
    for records in _complete_passes(data.records):
        time_ns = sum(record.processing_ns for record in records)
        logs.setdefault(records[0].block, []).append(math.log(time_ns))
    return {block: statistics.fmean(values) for block, values in logs.items()}


def _complete_passes(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each pass over all utterances; one that was cut short is left out."""

    def key(record: Record) -> tuple[int, int, int]:
        return (record.session, record.block, record.position)

    passes = [list(group) for _, group in groupby(sorted(records, key=key), key=key)]
    longest = max(map(len, passes), default=0)
    return [records for records in passes if len(records) == longest]


def _ratio(records: Sequence[Record], part_ns: Callable[[Record], int]) -> float:
    return sum(map(part_ns, records)) / sum(record.audio_ns for record in records)


def _ratio_padded(records: Sequence[Record]) -> float:
    return sum(r.processing_ns for r in records) / sum(r.padded_audio_ns for r in records)


def _warm_chunks(record: Record, protocol: str) -> tuple[int, ...]:
    """Return the chunks that no first run is part of."""
    return record.chunk_ns[1:] if protocol == "published" else record.chunk_ns


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
