"""Every column of the CSV, which has a line a measurement."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.report.views import meanings
from bench.results.lines import Record
from bench.results.store import CellData

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


def _settings(data: CellData, _: Record) -> str:
    settings = data.declaration.cell.settings
    return ",".join(f"{key}={value}" for key, value in sorted(settings.items()))


def _cell(key: str, meaning: str, unit: str = "") -> RecordColumn:
    return RecordColumn(key, meaning, lambda data, _: getattr(data.declaration.cell, key), unit)


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
    _cell("protocol", "published, steady or throughput"),
    _cell("precision", "what the engine computes in"),
    _cell("jobs", "processes at work at once"),
    _cell("batch", "chunks of equal length that run together at most"),
    RecordColumn("settings", "the engine's settings, key=value with commas between", _settings),
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
    _of_record("copy_ns", "the part of `engine_ns` that is shapes and copies", "ns"),
    RecordColumn("chunks", "how many chunks were run", lambda _, record: len(record.chunk_ns)),
    RecordColumn(
        "rtf", "`processing_ns` / `audio_ns`",
        lambda _, record: record.processing_ns / record.audio_ns,
    ),
)  # fmt: skip
