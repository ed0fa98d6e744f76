"""What fewer bits cost against what they bring: loss of EER over RTF, a panel a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report import figures
from bench.report.compare import EngineForm, side
from bench.report.palette import INK, MUTED
from bench.report.plots.looks import Look, looks
from bench.report.plots.style import (
    Picture,
    Sheet,
    caption,
    error_bar,
    failures,
    interval_remark,
    not_drawn,
    plain_log_ticks,
    rtf_limits,
)
from bench.report.precision_findings import POINTS, fastest, gain, not_surely_worse
from bench.results.rows import CellSummary, Summary
from engines.protocol import FLOAT32

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 3
#: Where a row in float32 stands: it is what the others are compared with.
NOTHING = (0.0, 0.0, 0.0)
#: Upright room around the intervals, as a share of their span.
ROOM = 0.12
LEAST_SPAN = 0.1  # points


def draw(summary: Summary) -> Iterator[Picture]:
    """Yield one picture of the models whose losses are known; steady rows if there are any."""
    scored = [row for row in summary.cells if row.rtf is not None and row.eer is not None]
    rows = [row for row in scored if row.protocol == "steady"] or scored
    models = list(dict.fromkeys(row.model for row in rows if row.eer_loss is not None))
    shown = models[:MOST_PANELS]
    if shown:
        kept = [row for row in rows if row.model in shown]
        yield _picture(summary, kept, shown)


def _picture(summary: Summary, rows: Sequence[CellSummary], models: Sequence[str]) -> Picture:
    look = looks(summary)
    text = caption(
        summary,
        rows,
        f"{rows[0].protocol}, chunks of {rows[0].chunk_samples} samples",
        "upright: 95 % interval of the loss over resampled speakers",
        interval_remark(rows, "across"),
        "large marks: the Pareto front, where nothing is surely faster and loses less",
        not_drawn(failures(row for row in summary.cells if row.model in models)),
    )
    keys = [look[each] for each in dict.fromkeys(map(side, rows))]
    title = _title(summary, rows, models)
    with Sheet(title=title, caption=text, height_in=3.1, keys=keys) as sheet:
        panels = sheet.axes(len(models), 1, gap_in=0.35)
        ends = [POINTS * end for row in rows for end in _loss(row)]
        room = ROOM * max(max(ends) - min(ends), LEAST_SPAN)
        panels[0].set_ylim(min(ends) - room, max(ends) + room)  # the panels share it
        for axes, model in zip(panels, models, strict=True):
            _panel(axes, [row for row in rows if row.model == model], look)
            axes.set_xlabel("RTF (left is faster)")
        panels[0].set_ylabel("EER against float32, points (down is better)")
        return sheet.finish("eer-loss-against-speed")


def _panel(axes: Axes, rows: Sequence[CellSummary], look: dict[EngineForm, Look]) -> None:
    front = pareto_front(rows)
    axes.set(xscale="log", xlim=rtf_limits(rows))
    for row in rows:
        points, low, high = (POINTS * value for value in _loss(row))
        on_front = row in front
        axes.errorbar(
            [row.rtf or 0.0],
            [points],
            xerr=error_bar(row),
            yerr=[[max(points - low, 0.0)], [max(high - points, 0.0)]],
            color=look[side(row)].color,
            marker=look[side(row)].marker,
            markersize=9 if on_front else 5,
            alpha=1.0 if on_front else 0.65,
            linewidth=1.2,
            zorder=3 if on_front else 2,
        )
    axes.axhline(0, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    eer = next(row.eer for row in rows if row.precision == FLOAT32 and row.eer is not None)
    axes.set_title(
        f"{rows[0].title}, EER {POINTS * eer:.2f} % in float32",
        loc="left",
        fontsize=10,
        color=INK,
        pad=4,
    )
    plain_log_ticks(axes.xaxis)


def pareto_front(rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the rows to which no other is surely faster while its loss is no larger."""

    def beaten(row: CellSummary, other: CellSummary) -> bool:
        assert row.rtf is not None
        assert other.rtf is not None
        ours = row.rtf_ci95[0] if row.rtf_ci95 else row.rtf
        theirs = other.rtf_ci95[1] if other.rtf_ci95 else other.rtf
        # A loss that the trials do not tell from none is none.
        lost, others = (max(_loss(each)[1], 0.0) for each in (row, other))
        return theirs < ours and others <= lost

    return [row for row in rows if not any(beaten(row, other) for other in rows)]


def _loss(row: CellSummary) -> tuple[float, float, float]:
    return row.eer_loss or NOTHING


def _title(summary: Summary, rows: Sequence[CellSummary], models: Sequence[str]) -> str:
    """Say which row in fewer bits is fastest where its loss is not told from none."""
    parts = []
    for model in models:
        own = [row for row in rows if row.model == model]
        fit = not_surely_worse(own)
        exact = [row for row in own if row.precision == FLOAT32]
        if not fit or not exact:
            continue
        best, against = fastest(fit), fastest(exact)
        found = gain(summary, best.condition, best, against)
        if found is not None:
            factor = figures.factor(found.ratio)
            parts.append(f"{best.title}: {best.engine_label}, {factor} times as fast as float32")
    return "; ".join(parts) or "No row in fewer bits is surely faster without a sure loss"
