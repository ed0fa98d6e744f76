"""A result for other programs: tidy CSV, and the JSON of tools that keep histories."""

import csv
import io
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from bench.report import figures, record_columns
from bench.report.compare import EngineForm, Interval, side
from bench.results.contrasts import complete_slots
from bench.results.rows import CellSummary, Ratio, Summary
from bench.results.store import CellData
from bench.results.summary import levels

NS_PER_S = 1e9


def tidy_csv(cells: Sequence[CellData]) -> str:
    """Return one line a measurement: an utterance through a session of a cell.

    A cell that was not measured has no lines; `status` says whether its figures may be used.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = record_columns.COLUMNS
    writer.writerow([column.key for column in columns])
    for data in cells:
        for record in data.records:
            writer.writerow([column.value(data, record) for column in columns])
    return buffer.getvalue()


def pytest_benchmark(summary: Summary, cells: Sequence[CellData]) -> str:
    """Return what `pytest-benchmark compare` reads: the seconds of each pass."""
    environment = summary.environment
    started = environment.started_utc
    content = {
        "machine_info": {
            "node": "",
            "machine": "",
            "system": environment.os,
            "python_version": environment.python,
            "cpu": {"brand_raw": environment.cpu, "count": environment.cores},
        },
        "commit_info": {"id": "", "time": started, "dirty": False, "branch": ""},
        "benchmarks": [
            _benchmark(data, passes_s)
            for data in cells
            for passes_s in [_passes_s(data)]
            if passes_s
        ],
        "datetime": started,
        "version": "5.0.0",
    }
    return json.dumps(content, indent=2) + "\n"


def github_action_benchmark(summary: Summary) -> str:
    """Return the entries that github-action-benchmark's `customSmallerIsBetter` reads.

    They are every RTF and every ratio: RTFs of runners are those of many hosts, and only ratios
    may be looked at over time.
    """
    host = summary.environment.cpu_kind
    entries = [
        {
            "name": _name(row),
            "unit": "RTF",
            "value": row.rtf,
            "range": _range(row.rtf_ci95),
            "extra": f"{row.engine} {row.version}\n{host}\n{row.passes} passes",
        }
        for row in summary.cells
        if row.rtf is not None
    ]
    entries += [
        {
            "name": f"{_name(row)} × {each.reference} {each.reference_form}",
            "unit": "times as long",
            "value": each.ratio,
            "range": _range(each.ci95),
            "extra": f"in turns with {each.reference}\n{host}\n{each.sessions} sessions",
        }
        for row, each in _ratios(summary)
    ]
    return json.dumps(entries, indent=2) + "\n"


def bencher(summary: Summary) -> str:
    """Return a result in the Bencher Metric Format: a benchmark has the measures rtf and ratio.

    Their lower and upper values are the ends of the 95 % intervals.
    """
    found: dict[str, dict[str, dict[str, float]]] = {
        _name(row): {"rtf": _metric(row.rtf, row.rtf_ci95)}
        for row in summary.cells
        if row.rtf is not None
    }
    for row, each in _ratios(summary):
        found.setdefault(_name(row), {})["ratio"] = _metric(each.ratio, each.ci95)
    return json.dumps(found, indent=2) + "\n"


def _ratios(summary: Summary) -> Iterator[tuple[CellSummary, Ratio]]:
    """Yield every ratio with the row that it is of."""
    rows = {(row.condition, side(row)): row for row in summary.cells}
    for each in summary.ratios:
        row = rows.get((each.condition, EngineForm(each.engine, each.form)))
        if row is not None:
            yield row, each


def _range(interval: Interval | None) -> str:
    return figures.plus_minus(interval).lstrip("± ") if interval else ""


def _metric(value: float, interval: Interval | None) -> dict[str, float]:
    ends = {} if interval is None else {"lower_value": interval[0], "upper_value": interval[1]}
    return {"value": value, **ends}


def _name(row: CellSummary) -> str:
    size = "whole" if row.chunk_samples < 0 else str(row.chunk_samples)
    parts = [row.title, f"{row.engine_label} {row.form}", f"{row.threads} thr", size, row.protocol]
    parts += [f"{row.jobs} jobs"] if row.jobs > 1 else []
    parts += [f"batches of {row.batch}"] if row.batch > 1 else []
    return " / ".join(parts)


def _benchmark(data: CellData, seconds: Sequence[float]) -> dict[str, Any]:
    cell = data.declaration.cell
    parts = [cell.engine_label, cell.form, f"t{cell.threads}", str(cell.chunk_samples)]
    parts += [f"j{cell.jobs}"] if cell.jobs > 1 else []
    parts += [f"b{cell.batch}"] if cell.batch > 1 else []
    name = f"{cell.model}[{'-'.join(parts)}-{cell.protocol}]"
    return {
        "group": f"{cell.model} {cell.protocol}",
        "name": name,
        "fullname": f"rtfbench::{name}",
        "params": cell.model_dump(exclude={"settings", "replica", "slowdown"}),
        "param": "-".join(parts),
        "extra_info": {"cell_id": data.declaration.cell_id},
        "options": {
            "disable_gc": False,
            "timer": "perf_counter",
            "min_rounds": 1,
            "max_time": 0,
            "min_time": 0,
            "warmup": False,
        },
        "stats": _stats(seconds),
    }


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the statistics that pytest-benchmark's tables show, by its definitions."""
    ordered = sorted(seconds)
    mean = statistics.fmean(ordered)
    spread = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    lower, upper = (
        statistics.quantiles(ordered, n=4, method="inclusive")[::2]
        if len(ordered) > 1
        else (mean, mean)
    )
    iqr = upper - lower
    far = [s for s in ordered if not lower - 1.5 * iqr <= s <= upper + 1.5 * iqr]
    near = [s for s in ordered if s not in far]
    beyond = sum(not mean - spread <= s <= mean + spread for s in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(ordered),
        "median": statistics.median(ordered),
        "iqr": iqr,
        "q1": lower,
        "q3": upper,
        "iqr_outliers": len(far),
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{len(far)}",
        "ld15iqr": near[0],
        "hd15iqr": near[-1],
        "ops": 1 / mean,
        "total": sum(ordered),
        "data": list(seconds),
        "iterations": 1,
    }


def _passes_s(data: CellData) -> list[float]:
    """Return the seconds of a pass as each slot tells them; nothing where the cell is not ok.

    A slot has a portion of the utterances: what it took against their medians, times the medians'
    sum, is comparable with any other slot.
    """
    if data.outcome is None or data.outcome.status != "ok":
        return []
    found = levels(complete_slots(data.records))
    pass_s = sum(found.usual_ns.values()) / NS_PER_S
    return [pass_s * math.exp(level) for logs in found.by_session.values() for level in logs]
