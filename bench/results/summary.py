"""From records to rows (pure): every statistic of a run is derived here."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench.base.values import Interval
from bench.results.cells import Condition
from bench.results.contrasts import complete_slots, run_ratios
from bench.results.host import Probes
from bench.results.lines import Outcome, Record
from bench.results.noise import noise_of
from bench.results.rows import SCHEMA, CellSummary, Environment, Summary
from bench.results.stats import level_interval, median, median_interval, quantile
from bench.results.store import CellData
from engines.protocol import Precision

NS_PER_MS = 1e6
BYTES_PER_MB = 1e6
#: Precision -> the type in which a core's peak is measured for it; elsewhere float32.
PEAKS: Mapping[Precision, str] = {"bf16": "bfloat16", "int8": "int8"}


def summarize(environment: Environment, cells: Sequence[CellData]) -> Summary:
    """Derive the result of a run from its lines."""
    groups: dict[Condition, list[CellData]] = {}
    for data in cells:
        groups.setdefault(data.cell.condition, []).append(data)
    rows = [summarize_cell(data) for data in cells if not data.cell.replica]
    ratios = run_ratios(groups.values())
    probes = environment.host.probes if environment.host else None
    return Summary(
        schema=SCHEMA,
        environment=environment,
        cells=tuple(_with_scaling(_with_peak(row, groups, probes), rows) for row in rows),
        ratios=tuple(ratios),
        noise=noise_of(list(groups.values()), ratios),
    )


def summarize_cell(data: CellData) -> CellSummary:
    """Derive a cell's row; a cell that is not ok shows no time."""
    cell = data.cell
    outcome = data.outcome or Outcome(
        cell_id="", status="failed", reason="the run ended before this cell did"
    )
    slots = complete_slots(data.records) if outcome.status == "ok" else []
    measured = [record for slot in slots for record in slot]
    level = rtf_level(slots)
    chunk_ns = [ns for record in measured for ns in _warm_chunks(record, cell.protocol)]
    chunk_s = median([ns / 1e9 for ns in chunk_ns])
    macs = data.declaration.macs
    return CellSummary(
        **cell.model_dump(exclude={"replica", "slowdown"}),
        title=data.declaration.title,
        status=outcome.status,
        reason=outcome.reason,
        version=outcome.version,
        build=outcome.build,
        note=outcome.note,
        params=data.declaration.params,
        flops=data.declaration.flops,
        macs=macs,
        flops_basis=data.declaration.flops_basis,
        about=data.declaration.about,
        recipe=data.declaration.recipe,
        artifact_bytes=data.declaration.artifact_bytes,
        artifact_sha256=data.declaration.artifact_sha256,
        denormal_share=data.declaration.denormal_share,
        passes=_passes(measured),
        sessions=len({record.session for record in measured}),
        utterances=len({name for record in measured for name in _names(record)}) or None,
        utterances_per_s=_per_second(level, measured),
        utterance_ms_p95=_scaled(
            quantile([ns for record in measured for ns in record.utterance_ns], 0.95), NS_PER_MS
        ),
        rtf=level and level.rtf,
        rtf_ci95=level and level.ci95,
        rtf_padded=level and level.rtf * (1 - _padded_share(measured)),
        padded_share=_padded_share(measured) if measured else None,
        rtf_frontend=_part(level, measured, lambda r: r.frontend_ns),
        rtf_engine=_part(level, measured, lambda r: r.engine_ns),
        rtf_copy=_part(level, measured, lambda r: r.copy_ns),
        rtf_pooling=_part(level, measured, lambda r: r.processing_ns - r.frontend_ns - r.engine_ns),
        load_ms=_scaled(median([record.load_ns for record in measured]), NS_PER_MS),
        first_chunk_ms=_scaled(median([r.first_chunk_ns for r in measured]), NS_PER_MS),
        chunk_ms=_scaled(median(chunk_ns), NS_PER_MS),
        chunk_ms_p90=_scaled(quantile(chunk_ns, 0.9), NS_PER_MS),
        chunk_ms_p99=_scaled(quantile(chunk_ns, 0.99), NS_PER_MS),
        gflops=2 * macs / chunk_s / 1e9 if macs and chunk_s else None,
        cpu_per_wall=median(
            [sum(r.cpu_ns for r in slot) / sum(r.processing_ns for r in slot) for slot in slots]
        ),
        peak_rss_mb=_scaled(outcome.peak_rss_bytes or _peak(measured), BYTES_PER_MB),
        steady_rss_mb=_scaled(outcome.steady_rss_bytes, BYTES_PER_MB),
        parity=outcome.parity,
        effective=outcome.effective,
    )


def _names(record: Record) -> tuple[str, ...]:
    """Return the utterances of a record."""
    return record.queued or (record.utterance,)


def _per_second(level: "Level | None", records: Sequence[Record]) -> float | None:
    """Return how many utterances of a queue are embedded in a second, None where there is none."""
    queued = sum(len(record.queued) for record in records)
    if level is None or not queued:
        return None
    audio_s = sum(record.audio_ns for record in records) / 1e9
    return queued / audio_s / level.rtf


class Level(NamedTuple):
    """An absolute RTF: of this host, at this hour."""

    rtf: float
    ci95: Interval | None


class Levels(NamedTuple):
    """An utterance's median time, and what each slot took against the medians, as a logarithm.

    So slots of different utterances can be compared.
    """

    usual_ns: dict[str, float]
    by_session: dict[int, list[float]]


def levels(slots: Sequence[Sequence[Record]]) -> Levels:
    """Return the level of every slot, by session."""
    times: dict[str, list[int]] = {}
    for slot in slots:
        for record in slot:
            times.setdefault(record.utterance, []).append(record.processing_ns)
    usual_ns = {name: float(statistics.median(found)) for name, found in times.items()}
    by_session: dict[int, list[float]] = {}
    for slot in slots:
        took_ns = sum(record.processing_ns for record in slot)
        expected_ns = sum(usual_ns[record.utterance] for record in slot)
        by_session.setdefault(slot[0].session, []).append(math.log(took_ns / expected_ns))
    return Levels(usual_ns, by_session)


def rtf_level(slots: Sequence[Sequence[Record]]) -> Level | None:
    """Return summed processing time over summed true duration, with its interval.

    Every utterance enters with its median time. With several sessions the interval is Student's
    over the sessions' median levels, with one it is that of the median over slots.
    """
    if not slots:
        return None
    found = levels(slots)
    audio_ns = {record.utterance: record.audio_ns for slot in slots for record in slot}
    rtf = sum(found.usual_ns.values()) / sum(audio_ns.values())
    sessions = [statistics.median(logs) for logs in found.by_session.values()]
    centre = rtf * math.exp(statistics.fmean(sessions))
    if len(sessions) > 1:
        return Level(centre, level_interval([rtf * math.exp(log) for log in sessions]))
    (only,) = found.by_session.values()
    return Level(centre, median_interval([rtf * math.exp(log) for log in only]))


def _part(
    level: Level | None, records: Sequence[Record], part_ns: Callable[[Record], int | None]
) -> float | None:
    """Return the RTF of a part: its median share of each utterance's time, of the whole RTF.

    None where a record does not know the part.
    """
    shares: dict[str, list[float]] = {}
    times: dict[str, list[int]] = {}
    for record in records:
        ns = part_ns(record)
        if ns is None:
            return None
        shares.setdefault(record.utterance, []).append(ns / record.processing_ns)
        times.setdefault(record.utterance, []).append(record.processing_ns)
    if level is None:
        return None
    usual_ns = {name: statistics.median(found) for name, found in times.items()}
    whole_ns = sum(usual_ns.values())
    return level.rtf * sum(
        statistics.median(found) * usual_ns[name] / whole_ns for name, found in shares.items()
    )


def _padded_share(records: Sequence[Record]) -> float:
    """Return which share of the audio that is computed only fills up last chunks."""
    each = {record.utterance: record for record in records}.values()
    return 1 - sum(r.audio_ns for r in each) / sum(r.padded_audio_ns for r in each)


def _passes(records: Sequence[Record]) -> int:
    """Return how often the cell went through all utterances."""
    names = [record.utterance for record in records]
    return min(map(names.count, set(names)), default=0)


def _with_peak(
    row: CellSummary, groups: dict[Condition, list[CellData]], probes: Probes | None
) -> CellSummary:
    """Add which share of the cores' peak, in the same blocks, a row reached.

    That of another type than float32 is as much higher as it was when the run began. Runs of
    before the peak was measured have a matrix product's instead.
    """
    lines = [line for data in groups[row.condition] for line in data.health]
    peak = median([line.peak_gflops for line in lines if line.peak_gflops is not None])
    if peak is not None and probes is not None and row.precision in PEAKS:
        peak *= probes.times_the_ceiling(PEAKS[row.precision])
    gemm = median([line.gemm_gflops for line in lines if line.gemm_gflops is not None])
    return row.model_copy(
        update={
            "peak_share": row.gflops / peak if row.gflops and peak else None,
            "gemm_share": row.gflops / gemm if row.gflops and gemm else None,
        }
    )


def _with_scaling(row: CellSummary, rows: Sequence[CellSummary]) -> CellSummary:
    """Add how many times as fast as with one thread a row is, and that over its threads."""
    fields = {
        *("model", "engine", "settings", "precision", "form"),
        *("chunk_samples", "protocol", "jobs", "batch"),
    }
    same = row.model_dump(include=fields)
    alone = next((r for r in rows if r.threads == 1 and r.model_dump(include=fields) == same), None)
    if alone is None or not alone.rtf or not row.rtf:
        return row
    speedup = alone.rtf / row.rtf
    return row.model_copy(update={"speedup": speedup, "efficiency": speedup / row.threads})


def _warm_chunks(record: Record, protocol: str) -> tuple[int, ...]:
    """Return the chunks that no first run is part of."""
    return record.chunk_ns[1:] if protocol == "published" else record.chunk_ns


def _peak(records: Sequence[Record]) -> int | None:
    return max((record.peak_rss_bytes for record in records), default=None) or None


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
