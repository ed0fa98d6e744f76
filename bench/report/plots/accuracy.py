"""Accuracy against speed: parity error against RTF, with the Pareto front marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report import figures
from bench.report.compare import EngineForm, engine_names, side
from bench.report.lead import listed
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
from bench.results.cells import MAX_REL_ERR
from bench.results.rows import CellSummary, Summary
from engines.protocol import FLOAT32

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_A_ROW = 3
MOST_PANELS = 12
#: Points between two labels.
LABEL_GAP = 34.0
#: Errors below this are drawn here: a log axis has no zero.
FLOOR = 1e-8
#: Errors that differ by less than this factor, or lie below this, are alike.
APART, ROUNDING = 2.0, MAX_REL_ERR / 100


def draw(summary: Summary) -> Iterator[Picture]:
    """Yield one picture, a panel a model, of rows in float32; steady ones if there are any."""
    ok = [
        row
        for row in summary.cells
        if row.rtf is not None and row.parity is not None and row.precision == FLOAT32
    ]
    rows = [row for row in ok if row.protocol == "steady"] or ok
    models = list(dict.fromkeys(row.model for row in rows))
    several = [m for m in models if len([r for r in rows if r.model == m]) > 1]
    if several:
        shown, left_out = several[:MOST_PANELS], several[MOST_PANELS:]
        failed = failures(
            row
            for row in summary.cells
            if row.protocol == rows[0].protocol and row.precision == FLOAT32
        )
        titles = [row.title for row in rows if row.model in left_out]
        kept = [row for row in rows if row.model in shown]
        yield _picture(summary, kept, shown, not_drawn([*failed, *titles]), _wrong(summary, rows))


def pareto_front(rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the rows that no other surely beats in speed or error without losing in the other.

    Speeds differ where their intervals do not overlap. Errors differ by a factor of two, and not at
    all far below the limit, where they are rounding.
    """

    def beaten(row: CellSummary, other: CellSummary) -> bool:
        faster, slower = _faster(other, row), _faster(row, other)
        better, worse = _more_exact(other, row), _more_exact(row, other)
        return (faster and not worse) or (better and not slower)

    front = [row for row in rows if not any(beaten(row, other) for other in rows)]
    return sorted(front, key=lambda row: (row.rtf or 0.0, _error(row)))


def _wrong(summary: Summary, rows: Sequence[CellSummary]) -> int:
    """Count the rows that are over the parity limit, and so have no time to draw."""
    return sum(
        row.status == "wrong_output"
        and row.protocol == rows[0].protocol
        and row.precision == FLOAT32
        for row in summary.cells
    )


def _faster(row: CellSummary, other: CellSummary) -> bool:
    assert row.rtf is not None
    assert other.rtf is not None
    ours, theirs = row.rtf_ci95, other.rtf_ci95
    return (ours[1] if ours else row.rtf) < (theirs[0] if theirs else other.rtf)


def _more_exact(row: CellSummary, other: CellSummary) -> bool:
    return _error(row) * APART < _error(other) and _error(other) > ROUNDING


def _picture(
    summary: Summary,
    rows: Sequence[CellSummary],
    models: Sequence[str],
    left_out: str,
    wrong: int,
) -> Picture:
    look = looks(summary)
    columns = min(len(models), PANELS_A_ROW)
    lines = -(-len(models) // columns)
    sizes = sorted({row.chunk_samples for row in rows})
    text = caption(
        summary,
        rows,
        f"{rows[0].protocol}, chunks of {', '.join(map(str, sizes))} samples",
        interval_remark(rows, "whisker"),
        "line and large marks: the Pareto front, where nothing is surely faster or more exact",
        left_out,
    )
    keys = [look[each] for each in dict.fromkeys(map(side, rows))]
    with Sheet(
        title=_finding(rows, models, wrong),
        caption=text,
        height_in=2.7 + 3.2 * (lines - 1),
        keys=keys,
    ) as sheet:
        panels = sheet.axes(columns, lines, gap_in=0.3)
        panels[0].set(yscale="log", ylim=(min(map(_error, rows)) / 4, MAX_REL_ERR * 3))
        for axes in panels[len(models) :]:
            axes.set_visible(False)
        for axes, model in zip(panels, models, strict=False):
            chosen = [row for row in rows if row.model == model]
            _panel(axes, chosen, look)
            _label_front(axes, chosen)
            axes.set_title(chosen[0].title, loc="left", fontsize=10, color=MUTED, pad=4)
            axes.set_xlabel("RTF (left is faster)")
        panels[0].set_ylabel("largest relative error")
        return sheet.finish("accuracy-against-speed")


def _panel(axes: Axes, rows: Sequence[CellSummary], look: dict[EngineForm, Look]) -> None:
    axes.set(xscale="log", yscale="log", xlim=rtf_limits(rows))
    front = pareto_front(rows)
    for row in rows:
        on_front = row in front
        axes.errorbar(
            [row.rtf or 0.0],
            [_error(row)],
            xerr=error_bar(row),
            color=look[side(row)].color,
            marker=look[side(row)].marker,
            markersize=9 if on_front else 5,
            alpha=1.0 if on_front else 0.65,
            linewidth=1.2,
            zorder=3 if on_front else 2,
        )
    axes.step(
        [row.rtf or 0.0 for row in front],
        [_error(row) for row in front],
        where="post",
        color=MUTED,
        linewidth=1.2,
        zorder=1,
    )
    axes.axhline(MAX_REL_ERR, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.annotate(
        "parity limit",
        (0.98, MAX_REL_ERR),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8.5,
        color=MUTED,
    )
    plain_log_ticks(axes.xaxis)


def _label_front(axes: Axes, rows: Sequence[CellSummary]) -> None:
    """Write at each point of the front in what it differs: chunk size, threads."""
    sizes = len({row.chunk_samples for row in rows}) > 1
    threads = len({row.threads for row in rows}) > 1
    written: list[float] = []
    for row in pareto_front(rows):
        across = float(axes.transData.transform((row.rtf or 0.0, 1.0))[0]) * 72 / axes.figure.dpi
        if any(abs(across - other) < LABEL_GAP for other in written):
            continue  # its words would stand on another's
        written.append(across)
        words = [str(row.chunk_samples)] if sizes else []
        words += [f"{row.threads} thr."] if threads else []
        axes.annotate(
            ", ".join(words),
            (row.rtf or 0.0, _error(row)),
            xytext=(0, -9),
            textcoords="offset points",
            va="top",
            ha="center",
            fontsize=8,
            color=INK,
            zorder=5,
        )


def _finding(rows: Sequence[CellSummary], models: Sequence[str], wrong: int) -> str:
    share = figures.percent(max(map(_error, rows)) / MAX_REL_ERR)
    over = f", {wrong} row{'s' * (wrong > 1)} over it not drawn" if wrong else ""
    errors = f"errors are at most {share} of the parity limit{over}"
    if len(models) > 1:
        return f"{len(models)} models: {errors}"
    named = engine_names(rows)
    labels = listed([named[side(row)] for row in pareto_front(rows)])
    return f"{rows[0].title}: {labels} on the Pareto front; {errors}"


def _error(row: CellSummary) -> float:
    return max(row.parity.max_rel_err, FLOOR) if row.parity else 1.0
