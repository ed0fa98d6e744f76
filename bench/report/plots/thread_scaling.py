"""Thread scaling: how many times as fast as with one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.base.values import grouped
from rtfbench.report import figures
from rtfbench.report.compare import side
from rtfbench.report.palette import MUTED
from rtfbench.report.plots import style
from rtfbench.results.rows import CellSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_A_ROW = 3
MOST_PANELS = 6


def draw(summary: Summary) -> Iterator[style.Picture]:
    """Yield a picture for each protocol and chunk size that has several thread counts."""
    measured = [row for row in summary.cells if row.rtf is not None]
    alike = grouped(((row.protocol, row.chunk_samples), row) for row in measured)
    for (protocol, size), rows in alike.items():
        known = grouped((row.model, row.threads) for row in rows if _speedup(rows, row))
        models = [model for model, threads in known.items() if len(set(threads)) > 1]
        if models:
            yield _picture(summary, rows, models[:MOST_PANELS], protocol, size)


def _picture(
    summary: Summary, rows: Sequence[CellSummary], models: Sequence[str], protocol: str, size: int
) -> style.Picture:
    look = style.looks(summary)
    rows = [row for row in rows if row.model in models]
    threads = sorted({row.threads for row in rows})
    columns = min(len(models), PANELS_A_ROW)
    keys = [look[each] for each in dict.fromkeys(map(side, rows))] if columns > 1 else []
    lines = -(-len(models) // columns)
    text = style.caption(
        summary, rows, f"{protocol}, {figures.chunk(size)}",
        "medians of unpaired runs; dashed: as many times as fast as there are threads",
    )  # fmt: skip
    with style.Sheet(
        title=_finding(rows), caption=text, height_in=2.5 + 3.2 * (lines - 1), keys=keys
    ) as sheet:
        right = 1.2 if columns == 1 else 0.2
        panels = sheet.axes(columns, lines, right_in=right, gap_in=0.3, used=len(models))
        for axes, model in zip(panels, models, strict=True):
            chosen = [row for row in rows if row.model == model]
            ends = _panel(axes, chosen, threads, look)
            axes.set_title(chosen[0].title, loc="left", fontsize=10, color=MUTED, pad=4)
            axes.set_xlabel("threads")
            if columns == 1:
                style.direct_labels(axes, ends)
        panels[0].set_ylabel("times as fast as one thread")
        return sheet.finish(f"thread-scaling-{protocol}-{size}")


def _panel(
    axes: Axes, rows: Sequence[CellSummary], threads: Sequence[int], look: style.Looks
) -> list[tuple[float, float, style.Look]]:
    axes.plot(threads, threads, color=MUTED, linewidth=1.2, linestyle=style.DASHED)
    ends: list[tuple[float, float, style.Look]] = []
    for each, own in grouped((side(row), row) for row in rows).items():
        points = [
            (row.threads, speedup)
            for row in sorted(own, key=lambda row: row.threads)
            if (speedup := _speedup(rows, row)) is not None
        ]
        if not points:
            continue
        drawn = look[each]
        axes.plot(*zip(*points, strict=True), **drawn.style, linewidth=1.8)
        ends.append((*points[-1], drawn))
    axes.set_xticks(threads)
    axes.set_xlim(threads[0] - 0.15, threads[-1] + 0.15)
    return ends


def _speedup(rows: Sequence[CellSummary], row: CellSummary) -> float | None:
    """Return how many times as fast a row is as the same with one thread."""
    if row.speedup is not None:
        return row.speedup
    for other in rows:
        if (other.model, side(other), other.threads) == (row.model, side(row), 1) and other.rtf:
            return other.rtf / row.rtf if row.rtf else None
    return None


def _finding(rows: Sequence[CellSummary]) -> str:
    most = max(row.threads for row in rows)
    speedups = (_speedup(rows, row) for row in rows if row.threads == most)
    found = [each for each in speedups if each is not None]
    low, high = figures.times(min(found)), figures.times(max(found))
    return f"{most} threads are {low} to {high} as fast as one"
