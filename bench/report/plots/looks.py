"""How each engine is drawn: its colour and marker, the same in every picture of a result."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.compare import EngineForm, engine_names, side
from bench.report.palette import SERIES
from bench.results.rows import Summary
from engines.protocol import FLOAT32

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Look:
    """How an engine is drawn in every picture of a result."""

    label: str
    color: str
    marker: str


def looks(summary: Summary) -> dict[EngineForm, Look]:
    """Give each engine and form its colour and marker, the same in every picture.

    Where there are other precisions than float32, an engine's rows share its colour, and rows in
    one precision their marker.
    """
    rows = [row for row in summary.cells if row.rtf is not None]
    named = engine_names(rows)
    if all(row.precision == FLOAT32 for row in rows):
        return {
            each: Look(label, SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)])
            for index, (each, label) in enumerate(named.items())
        }
    engines = list(dict.fromkeys((row.engine, str(row.settings)) for row in rows))
    precisions = list(dict.fromkeys(row.precision for row in rows))
    return {
        side(row): Look(
            named[side(row)],
            SERIES[engines.index((row.engine, str(row.settings))) % len(SERIES)],
            MARKERS[precisions.index(row.precision) % len(MARKERS)],
        )
        for row in rows
    }
