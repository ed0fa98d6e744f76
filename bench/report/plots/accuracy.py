"""Accuracy against speed, a panel a model: loss of EER where trials tell it, else parity error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.base.values import grouped
from rtfbench.engines.protocol import FLOAT32
from rtfbench.report import figures
from rtfbench.report.compare import side, surely_faster
from rtfbench.report.palette import INK, MUTED
from rtfbench.report.plots import style
from rtfbench.report.precision_findings import POINTS, fastest, gain, keeping_accuracy
from rtfbench.results.cells import MAX_REL_ERR
from rtfbench.results.protocols import steady_first
from rtfbench.results.rows import CellSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_A_ROW = 3
MOST_PANELS = 12
#: Errors below this are drawn here: a log axis has no zero.
FLOOR = 1e-8
#: Errors that differ by less than this factor, or lie below this, are alike.
APART, ROUNDING = 2.0, MAX_REL_ERR / 100
#: Where a row in float32 stands: it is what the others are compared with.
NOTHING = (0.0, 0.0, 0.0)
#: Upright room around the intervals of losses, as a share of their span.
ROOM = 0.12
LEAST_SPAN = 0.1  # points


def draw(summary: Summary) -> Iterator[style.Picture]:
    """Yield one picture, a panel a model; of steady rows if there are any."""
    measured = [row for row in summary.cells if row.rtf is not None]
    lossy = any(row.eer_loss for row in measured)
    rows = steady_first(
        [row for row in measured if row.eer is not None]
        if lossy
        else [row for row in measured if row.parity is not None and row.precision == FLOAT32]
    )
    models = [
        model
        for model, own in grouped((row.model, row) for row in rows).items()
        if (any(row.eer_loss for row in own) if lossy else len(own) > 1)
    ]
    shown, left_out = models[:MOST_PANELS], models[MOST_PANELS:]
    if shown:
        failed = style.failures(
            row
            for row in summary.cells
            if row.protocol == rows[0].protocol and (lossy or row.precision == FLOAT32)
        )
        titles = [row.title for row in rows if row.model in left_out]
        kept = [row for row in rows if row.model in shown]
        yield _picture(summary, kept, shown, style.not_drawn([*failed, *titles]), lossy=lossy)


def pareto_front(summary: Summary, rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the rows that no other surely beats in speed or accuracy without losing in the other.

    Parity errors differ by a factor of two, and not at all far below the limit, where they are
    rounding. A loss of EER that is surely within what was allowed is none.
    """
    lossy = any(row.eer_loss for row in rows)

    def worse(row: CellSummary, other: CellSummary) -> bool:
        if not lossy:
            return _error(row) > APART * _error(other) and _error(row) > ROUNDING
        keeps = row.precision == FLOAT32 or row in keeping_accuracy(summary, [row])
        return not keeps and _loss(row)[2] > _loss(other)[1]

    def beaten(row: CellSummary, other: CellSummary) -> bool:
        faster, slower = surely_faster(summary, other, row), surely_faster(summary, row, other)
        return (faster and not worse(other, row)) or (worse(row, other) and not slower)

    return [row for row in rows if not any(beaten(row, other) for other in rows if other != row)]


def _picture(
    summary: Summary,
    rows: Sequence[CellSummary],
    models: Sequence[str],
    left_out: str,
    *,
    lossy: bool,
) -> style.Picture:
    look = style.looks(summary)
    columns = min(len(models), PANELS_A_ROW)
    lines = -(-len(models) // columns)
    sizes = ", ".join(map(str, sorted({row.chunk_samples for row in rows})))
    text = style.caption(
        summary,
        rows,
        f"{rows[0].protocol}, chunks of {sizes} samples",
        "upright: 95 % interval of the loss over resampled speakers" if lossy else "",
        style.interval_remark(rows, "across"),
        "large marks: no other row is surely faster or more accurate without losing in the other",
        left_out,
    )
    with style.Sheet(
        title=_loss_title(summary, rows, models) if lossy else _error_title(summary, rows, models),
        caption=text,
        height_in=2.9 + 3.2 * (lines - 1),
        keys=[look[each] for each in dict.fromkeys(map(side, rows))],
    ) as sheet:
        panels = sheet.axes(columns, lines, gap_in=0.55, used=len(models))
        if lossy:
            ends = [POINTS * end for row in rows for end in _loss(row)]
            room = ROOM * max(max(ends) - min(ends), LEAST_SPAN)
            panels[0].set_ylim(min(ends) - room, max(ends) + room)  # the panels share it
        else:
            panels[0].set(yscale="log", ylim=(min(map(_error, rows)) / 4, MAX_REL_ERR * 3))
        for axes, model in zip(panels, models, strict=True):
            own = [row for row in rows if row.model == model]
            _panel(summary, axes, own, look, lossy=lossy)
        panels[0].set_ylabel(
            "EER against float32, points (down is better)" if lossy else "largest relative error"
        )
        return sheet.finish("accuracy-against-speed")


def _panel(
    summary: Summary, axes: Axes, rows: Sequence[CellSummary], look: style.Looks, *, lossy: bool
) -> None:
    front = pareto_front(summary, rows)
    axes.set(xscale="log", xlim=style.rtf_limits(rows))
    for row in rows:
        value, low, high = (POINTS * each for each in _loss(row)) if lossy else [_error(row)] * 3
        on_front = row in front
        axes.errorbar(
            [row.rtf or 0.0], [value], xerr=style.error_bar(row), **look[side(row)].style,
            yerr=[[max(value - low, 0.0)], [max(high - value, 0.0)]], linewidth=1.2,
            markersize=9 if on_front else 5, alpha=1.0 if on_front else 0.65,
            zorder=3 if on_front else 2,
        )  # fmt: skip
    limit = 0.0 if lossy else MAX_REL_ERR
    axes.axhline(limit, color=MUTED, linewidth=1.2, linestyle=style.DASHED, zorder=1)
    title = rows[0].title
    if lossy:
        eer = next(row.eer for row in rows if row.precision == FLOAT32 and row.eer is not None)
        title += f", EER {POINTS * eer:.2f} % in float32"
    else:
        axes.annotate("parity limit", (0.98, limit), xycoords=("axes fraction", "data"),
                      xytext=(0, -3), textcoords="offset points", ha="right", va="top",
                      fontsize=8.5, color=MUTED)  # fmt: skip
    axes.set_title(title, loc="left", fontsize=10, color=INK, pad=4)
    axes.set_xlabel("RTF (left is faster)")
    style.plain_log_ticks(axes.xaxis)


def _error_title(summary: Summary, rows: Sequence[CellSummary], models: Sequence[str]) -> str:
    share = figures.percent(max(map(_error, rows)) / MAX_REL_ERR)
    what = rows[0].title if len(models) == 1 else f"{len(models)} models"
    alike = (
        row.status
        for row in summary.cells
        if row.protocol == rows[0].protocol and row.precision == FLOAT32
    )
    wrong = list(alike).count("wrong_output")
    over = f", {figures.counted(wrong, 'row')} over it not drawn" if wrong else ""
    return f"{what}: errors are at most {share} of the parity limit{over}"


def _loss_title(summary: Summary, rows: Sequence[CellSummary], models: Sequence[str]) -> str:
    """Say which row in fewer bits is fastest of those that keep their accuracy."""
    parts = []
    for model in models:
        own = [row for row in rows if row.model == model]
        fit = keeping_accuracy(summary, own)
        exact = [row for row in own if row.precision == FLOAT32]
        if not fit or not exact:
            continue
        best, against = fastest(fit), fastest(exact)
        found = gain(summary, best.condition, best, against)
        if found is not None:
            as_fast = f"{figures.factor(found.ratio)} times as fast as {against.engine_label}"
            parts.append(f"{best.title}: {best.engine_label} is {as_fast} in float32")
    return "; ".join(parts) or "No row in fewer bits is faster and keeps its accuracy for sure"


def _error(row: CellSummary) -> float:
    return max(row.parity.max_rel_err, FLOOR) if row.parity else 1.0


def _loss(row: CellSummary) -> tuple[float, float, float]:
    return row.eer_loss or NOTHING
