"""How a report names engines that ran on libraries of the user's own."""

from pathlib import PurePath
from typing import TypeVar

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import HOME, LIBRARY_BYTES
from rtfbench.results.rows import CellSummary, Ghost, Ratio, Summary

Of = TypeVar("Of", Ratio, Ghost)

MINIMAL = "mnn-mini"
#: As the table that this project reproduces calls a minimal library.
PUBLISHED = "mnn mini_libs"


def named(summary: Summary) -> Summary:
    """Return a result for reading, in which a library's folder is named as shortly as can be.

    A minimal library alone needs no folder; of several, and of full ones, the last part of its
    path, or the whole where that is not enough.
    """
    rows = [row for row in summary.cells if HOME in row.settings]
    if not rows:
        return summary
    homes = grouped(dict.fromkeys((row.engine, row.settings[HOME]) for row in rows))
    labels: dict[str, str] = {}
    cells: list[CellSummary] = []
    for row in summary.cells:
        shown = _named(row, homes[row.engine]) if HOME in row.settings else row
        labels[row.engine_label] = shown.engine_label
        cells.append(shown)

    def relabelled(found: Of, *fields: str) -> Of:
        told = {field: getattr(found, field) for field in fields}
        return found.model_copy(update={f: labels.get(label, label) for f, label in told.items()})

    noise = summary.noise
    if noise is not None:
        ghosts = tuple(relabelled(each, "reference") for each in noise.ghosts)
        noise = noise.model_copy(update={"ghosts": ghosts})
    ratios = tuple(relabelled(each, "engine", "reference") for each in summary.ratios)
    return summary.model_copy(update={"cells": tuple(cells), "ratios": ratios, "noise": noise})


def described(summary: Summary) -> list[str]:
    """Return a line for every library of the user's own that a result was made with."""
    lines = []
    for row in summary.cells:
        if LIBRARY_BYTES in row.effective:
            home = {key: value for key, value in row.settings.items() if key == HOME}
            of_library = row.model_copy(update={"settings": home})  # without what is no library's
            lines.append(
                f"Library of {of_library.engine_label}: {row.build}, MNN {row.version}, "
                f"{int(row.effective[LIBRARY_BYTES]):,} bytes."
            )
    return list(dict.fromkeys(lines))


def size_mb(row: CellSummary) -> float | None:
    """Return the size on disk of the library that a row ran on, None where it is not known."""
    found = row.effective.get(LIBRARY_BYTES)
    return None if found is None else float(found) / 1e6


def _named(row: CellSummary, homes: list[str]) -> CellSummary:
    settings = dict(row.settings)
    home = settings.pop(HOME)
    if row.engine != MINIMAL or len(homes) > 1:
        alike = [other for other in homes if PurePath(other).name == PurePath(home).name]
        settings[HOME] = home if len(alike) > 1 else PurePath(home).name
    engine = PUBLISHED if row.engine == MINIMAL else row.engine
    return row.model_copy(update={"engine": engine, "settings": settings})
