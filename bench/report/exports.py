"""A result for other programs: tidy CSV, and the JSON of tools that keep histories.

Every column of the CSV, which has a line a measurement, stands here.
"""

import csv
import io
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rtfbench.base.values import Interval
from rtfbench.report import figures
from rtfbench.report.compare import side
from rtfbench.report.views import meanings
from rtfbench.results import protocols
from rtfbench.results.contrasts import complete_slots
from rtfbench.results.levels import pass_s
from rtfbench.results.records import Record
from rtfbench.results.rows import CellSummary, Ratio, Summary
from rtfbench.results.stats import quantile
from rtfbench.results.store import CellData

NS_PER_S = 1e9
#: A cell that begins so is computed, and may start programs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def tidy_csv(cells: Sequence[CellData]) -> str:
    """Return one line a measurement: an utterance through a session of a cell.

    A cell that was not measured has no lines; `status` says whether its figures may be used.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.key for column in COLUMNS])
    for data in cells:
        for record in data.records:
            writer.writerow([_inert(column.value(data, record)) for column in COLUMNS])
    return buffer.getvalue()


def _inert(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: text gets an apostrophe before it."""
    starts_one = isinstance(value, str) and value[:1] in FORMULA_STARTS
    return f"'{value}" if starts_one else value


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
            _benchmark(data, passes_s) for data in cells if (passes_s := _passes_s(data))
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
        if row := rows.get((each.condition, each.left)):
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
    parts += [str(row.load)] if row.load else []
    return " / ".join(parts)


def _benchmark(data: CellData, seconds: Sequence[float]) -> dict[str, Any]:
    cell = data.cell
    parts = [cell.engine_label, cell.form, f"t{cell.threads}", str(cell.chunk_samples)]
    parts += [f"j{cell.jobs}"] if cell.jobs > 1 else []
    parts += [f"b{cell.batch}"] if cell.batch > 1 else []
    parts += [str(cell.load)] if cell.load else []
    name = f"{cell.model}[{'-'.join(parts)}-{cell.protocol}]"
    return {
        "group": f"{cell.model} {cell.protocol}",
        "name": name,
        "fullname": f"rtfbench::{name}",
        "params": cell.model_dump(mode="json", exclude={"settings", "replica", "slowdown"}),
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
    mean, spread = statistics.fmean(seconds), statistics.stdev(seconds) if seconds[1:] else 0.0
    lower, median, upper = (quantile(seconds, share) or 0.0 for share in (0.25, 0.5, 0.75))
    reach = 1.5 * (upper - lower)
    near = [each for each in seconds if lower - reach <= each <= upper + reach]
    far, beyond = len(seconds) - len(near), sum(abs(each - mean) > spread for each in seconds)
    return {
        "min": min(seconds),
        "max": max(seconds),
        "mean": mean,
        "stddev": spread,
        "rounds": len(seconds),
        "median": median,
        "iqr": upper - lower,
        "q1": lower,
        "q3": upper,
        "iqr_outliers": far,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{far}",
        "ld15iqr": min(near),
        "hd15iqr": max(near),
        "ops": 1 / mean,
        "total": sum(seconds),
        "data": list(seconds),
        "iterations": 1,
    }


def _passes_s(data: CellData) -> list[float]:
    """Return the seconds of a pass as each slot tells them; nothing where the cell is not ok."""
    if data.outcome is None or data.outcome.status != "ok":
        return []
    return pass_s(complete_slots(data.records), data.cell.protocol)


Field = str | int | float | None


@dataclass(frozen=True)
class RecordColumn:
    """A figure of every measurement: an utterance through a session of a cell."""

    key: str
    meaning: str
    value: Callable[[CellData, Record], Field]
    unit: str = ""


def explained() -> str:
    """Return a markdown table of what each column of the CSV means."""
    return meanings((f"`{each.key}`", each.unit, each.meaning) for each in COLUMNS)


def _cell(key: str, meaning: str, unit: str = "") -> RecordColumn:
    return RecordColumn(key, meaning, lambda data, _: getattr(data.cell, key), unit)


def _of_record(key: str, meaning: str, unit: str = "") -> RecordColumn:
    return RecordColumn(key, meaning, lambda _, record: getattr(record, key), unit)


#: The cell, then the turn, then durations, then what follows from them.
COLUMNS = (
    RecordColumn("cell_id", "the cell on its very model file", lambda d, _: d.declaration.cell_id),
    _cell("model", "name in the catalog, or file"),
    _cell("engine", "the runtime"),
    _cell("form", "dynamic or static"),
    _cell("threads", "intra-op threads"),
    _cell("chunk_samples", "length of a chunk, -1 for the whole utterance", "samples"),
    _cell("protocol", f"one of: {', '.join(protocols.BUILT_IN)}"),
    _cell("precision", "what the engine computes in"),
    _cell("jobs", "processes at work at once"),
    _cell("batch", "chunks of equal length that run together at most"),
    RecordColumn(
        "settings", "the engine's settings, key=value with commas between",
        lambda data, _: ",".join(f"{k}={v}" for k, v in sorted(data.cell.settings.items())),
    ),
    RecordColumn(
        "status", "how the cell ended; use the lines that say ok",
        lambda data, _: data.outcome.status if data.outcome else "failed",
    ),
    _of_record("session", "the set of fresh processes"),
    _of_record("block", "the block of turns"),
    _of_record("position", "the cell's turn in its block"),
    _of_record("utterance", "what was embedded"),
    _of_record("audio_ns", "true duration of the utterance", "ns"),
    _of_record("padded_audio_ns", "duration that was computed, the filling of its last chunk "
               "included", "ns"),
    _of_record("load_ns", "opening the session", "ns"),
    _of_record("first_chunk_ns", "the first run of the session", "ns"),
    _of_record("frontend_ns", "making features and cutting them", "ns"),
    _of_record("engine_ns", "inference", "ns"),
    _of_record("processing_ns", "all of the processing", "ns"),
    _of_record("cpu_ns", "CPU time of the process meanwhile", "ns"),
    _of_record("energy_uj", "what the device's energy counters rose by meanwhile", "µJ"),
    _of_record("copy_ns", "the part of `engine_ns` that is shapes and copies", "ns"),
    RecordColumn("chunks", "how many chunks were run", lambda _, record: len(record.chunk_ns)),
    RecordColumn(
        "rtf", "`processing_ns` / `audio_ns`",
        lambda _, record: record.processing_ns / record.audio_ns,
    ),
)  # fmt: skip
