"""From records to rows (pure): every statistic of a run is derived here."""

from collections.abc import Callable, Sequence
from itertools import groupby

from bench.records import CellSummary, Environment, Record, Summary
from bench.stats import median, median_interval
from bench.store import CellData

NS_PER_MS = 1e6
BYTES_PER_MB = 1e6


def summarize(environment: Environment, cells: Sequence[CellData]) -> Summary:
    """Derive the result of a run from its lines."""
    return Summary(schema=1, environment=environment, cells=tuple(map(summarize_cell, cells)))


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
