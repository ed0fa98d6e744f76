"""Columns of energy: of rows whose device has a counter that can be read."""

from rtfbench.report import figures
from rtfbench.report.views import Column, Context
from rtfbench.results.rows import CellSummary


def _column(key: str, heading: str, meaning: str) -> Column:
    def value(row: CellSummary, _: Context) -> float | None:
        found: float | None = getattr(row, f"{key}_j_per_h")
        return found

    def text(row: CellSummary, context: Context) -> str:
        interval = getattr(row, f"{key}_ci95")
        told = f" {figures.plus_minus(interval)}" if interval else ""
        return figures.number(value(row, context)) + told

    return Column(
        key,
        heading,
        meaning,
        ("machine", "page"),
        value,
        unit="J/h",
        text=text,
        present=lambda context: any(value(row, context) for row in context.rows),
    )


ENERGY = (
    _column(
        "energy",
        "J an audio hour",
        "what the device's own counters of energy rose by while an hour of audio was processed, "
        "with half the interval's width over sessions: of the whole package, whatever else ran on "
        "it; only where a counter can be read",
    ),
    _column(
        "energy_above_idle",
        "above idle",
        "the same, less what the device spent in that time while nothing ran, measured after "
        "each block",
    ),
)
