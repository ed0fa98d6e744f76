"""From records to rows (pure): every statistic of a run is derived here."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import CPU, FLOAT32, Precision
from rtfbench.results import protocols
from rtfbench.results.cells import Condition
from rtfbench.results.contrasts import complete_slots, run_ratios
from rtfbench.results.host import Environment, Probes
from rtfbench.results.levels import Idle, Level, energy_figures, idle_of, padded_share, rtf_level
from rtfbench.results.lines import Outcome
from rtfbench.results.noise import noise_of
from rtfbench.results.records import Record
from rtfbench.results.rows import SCHEMA, CellSummary, Summary
from rtfbench.results.stats import median, tail_quantile
from rtfbench.results.store import CellData

NS_PER_MS = 1e6
BYTES_PER_MB = 1e6
#: What a row says of its cell's outcome, as it stands there.
SHOWN_OF_OUTCOME = {"status", "reason", "version", "build", "note", "parity", "effective"}
#: Precision -> the type in which a core's peak is measured for it; elsewhere float32.
PEAKS: Mapping[Precision, str] = {"bf16": "bfloat16", "int8": "int8"}


def summarize(environment: Environment, cells: Sequence[CellData]) -> Summary:
    """Derive the result of a run from its lines."""
    groups = grouped((data.cell.condition, data) for data in cells)
    idle = {
        condition: idle_of(line for data in group for line in data.health)
        for condition, group in groups.items()
    }
    rows = [
        summarize_cell(data, idle[data.cell.condition]) for data in cells if not data.cell.replica
    ]
    ratios = run_ratios(groups.values())
    probes = environment.host.probes if environment.host else None
    peaks = _peaks(cells)
    return Summary(
        schema=SCHEMA,
        environment=environment,
        cells=tuple(_with_scaling(_with_peak(row, peaks, probes), rows) for row in rows),
        ratios=tuple(ratios),
        noise=noise_of(list(groups.values()), ratios),
    )


def summarize_cell(data: CellData, idle: Idle | None = None) -> CellSummary:
    """Derive a cell's row, with its comparison's idle power; one that is not ok shows no time."""
    cell = data.cell
    outcome = _outcome(data)
    slots = complete_slots(data.records) if outcome.status == "ok" else []
    measured = [record for slot in slots for record in slot]
    level = rtf_level(slots, cell.protocol)
    # A chunk that is a session's first run is apart.
    first = int(protocols.named(cell.protocol).fresh_session)
    chunk_ns = [ns for record in measured for ns in record.chunk_ns[first:]]
    names = [record.utterance for record in measured]
    peak_bytes = max((record.peak_rss_bytes for record in measured), default=0)
    chunk_s = median([ns / 1e9 for ns in chunk_ns])
    macs = data.declaration.macs
    return CellSummary(
        **cell.model_dump(exclude={"replica", "slowdown"}),
        **data.declaration.facts,
        **outcome.model_dump(include=SHOWN_OF_OUTCOME),
        passes=min(map(names.count, set(names)), default=0),
        sessions=len({record.session for record in measured}),
        utterances=len({name for r in measured for name in r.queued or (r.utterance,)}) or None,
        **_figures(cell.protocol, measured, level),
        **energy_figures(slots, cell.protocol, cell.device, idle or {}),
        rtf=level and level.rtf,
        rtf_ci95=level and level.ci95,
        rtf_padded=level and level.rtf * (1 - padded_share(measured)),
        padded_share=padded_share(measured) if measured else None,
        rtf_frontend=_part(level, measured, lambda r: r.frontend_ns),
        rtf_engine=_part(level, measured, lambda r: r.engine_ns),
        rtf_copy=_part(level, measured, lambda r: r.copy_ns),
        rtf_pooling=_part(level, measured, lambda r: r.processing_ns - r.frontend_ns - r.engine_ns),
        load_ms=_scaled(median([record.load_ns for record in measured]), NS_PER_MS),
        first_chunk_ms=_scaled(median([r.first_chunk_ns for r in measured]), NS_PER_MS),
        chunk_ms=_scaled(median(chunk_ns), NS_PER_MS),
        chunk_ms_p90=_scaled(tail_quantile(chunk_ns, 0.9), NS_PER_MS),
        chunk_ms_p99=_scaled(tail_quantile(chunk_ns, 0.99), NS_PER_MS),
        gflops=2 * macs / chunk_s / 1e9 if macs and chunk_s else None,
        cpu_per_wall=median(
            [sum(r.cpu_ns for r in slot) / sum(r.processing_ns for r in slot) for slot in slots]
        ),
        peak_rss_mb=_scaled(outcome.peak_rss_bytes or peak_bytes or None, BYTES_PER_MB),
        steady_rss_mb=_scaled(outcome.steady_rss_bytes, BYTES_PER_MB),
    )


def _outcome(data: CellData) -> Outcome:
    """Return how a cell ended: failed where its protocol says that its records tell nothing."""
    found = data.outcome or Outcome(
        cell_id="", status="failed", reason="the run ended before this cell did"
    )
    invalid = protocols.named(data.cell.protocol).invalid
    if found.status == "ok" and invalid is not None and (why := invalid(data.records)):
        return found.model_copy(update={"status": "failed", "reason": why})
    return found


def _figures(protocol: str, records: Sequence[Record], level: Level | None) -> dict[str, Any]:
    """Return what rows of a protocol alone tell: fields of the row, and its `own`."""
    if level is None:
        return {}
    known = protocols.named(protocol).figures
    found = {each.name: each.of(records, level.rtf) for each in known}
    told = {name: value for name, value in found.items() if value is not None}
    own = {name: value for name, value in told.items() if name not in CellSummary.model_fields}
    intervals = {
        each.name: (interval[0], interval[1] if math.isfinite(interval[1]) else None)
        for each in known
        if each.interval is not None and each.name in own and (interval := each.interval(records))
    }
    fields = {name: told[name] for name in told.keys() - own.keys()}
    return fields | {"own": own or None, "own_ci95": intervals or None}


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


def _peaks(cells: Sequence[CellData]) -> dict[tuple[str, int], float]:
    """Return device and threads -> the highest peak that was read in the whole run.

    A reading is low where something else ran beside it, never high, and a condition has few.
    """
    peaks: dict[tuple[str, int], float] = {}
    for data in cells:
        key = (data.cell.device, data.cell.threads)
        for line in data.health:
            if line.peak_gflops is not None:
                peaks[key] = max(peaks.get(key, 0.0), line.peak_gflops)
    return peaks


def _with_peak(
    row: CellSummary, peaks: Mapping[tuple[str, int], float], probes: Probes | None
) -> CellSummary:
    """Add which share of its device's peak a row reached.

    That of another type than float32 is as much higher as it was when the run began.
    """
    peak = peaks.get((row.device, row.threads))
    if row.device != CPU and row.precision != FLOAT32:
        peak = None  # what the host's cores do with a type says nothing of another device
    if peak is not None and probes is not None and row.precision in PEAKS:
        peak *= probes.times_the_ceiling(PEAKS[row.precision])
    return row.model_copy(update={"peak_share": row.gflops / peak if row.gflops and peak else None})


def _with_scaling(row: CellSummary, rows: Sequence[CellSummary]) -> CellSummary:
    """Add how many times as fast as with one thread a row is, and that over its threads."""
    own = {"engine", "settings", "precision", "device", "form"}
    fields = own | set(Condition.model_fields) - {"threads"}
    same = row.model_dump(include=fields)
    alone = next((r for r in rows if r.threads == 1 and r.model_dump(include=fields) == same), None)
    if alone is None or not alone.rtf or not row.rtf:
        return row
    speedup = alone.rtf / row.rtf
    return row.model_copy(update={"speedup": speedup, "efficiency": speedup / row.threads})


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
