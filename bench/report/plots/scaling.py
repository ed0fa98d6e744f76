"""RTF over the size of chunks and over threads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.base.values import grouped
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ, WHOLE_UTTERANCE
from rtfbench.report import compare, figures
from rtfbench.report.compare import side
from rtfbench.report.palette import INK, MUTED
from rtfbench.report.plots import style
from rtfbench.results.protocols import STEADY
from rtfbench.results.rows import CellSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_SIZES = 2
#: Real time is drawn to scale when the slowest line is at most this factor away from it.
FAR = 2.5
COMPUTED = (
    "dotted: the same time over the duration that was computed, filled up last chunks included"
)


def by_chunk_size(summary: Summary) -> Iterator[style.Picture]:
    """Yield a picture for each model and thread count with two chunk sizes or more."""
    measured = [r for r in summary.cells if r.rtf is not None and r.chunk_samples > 0]
    for (model, threads), rows in grouped(((r.model, r.threads), r) for r in measured).items():
        panels = {
            protocol: chosen
            for protocol, chosen in grouped((row.protocol, row) for row in rows).items()
            if len({row.chunk_samples for row in chosen}) >= FEWEST_SIZES
        }
        if panels:
            yield _picture(summary, panels, f"rtf-by-chunk-size-{model}-t{threads}")


def _picture(summary: Summary, panels: dict[str, list[CellSummary]], name: str) -> style.Picture:
    rows = [row for chosen in panels.values() for row in chosen]
    alike = (row for row in summary.cells if row.model == rows[0].model)
    whole = any(row.chunk_samples == WHOLE_UTTERANCE for row in alike)
    remarks = [style.interval_remark(rows, "band"), COMPUTED]
    remarks += ["whole utterances are not drawn"] if whole else []
    title = f"{rows[0].title}: {_finding(summary, panels)}"
    look = style.looks(summary)
    with style.Sheet(
        title=title, caption=style.caption(summary, rows, *remarks), height_in=3.8, above_in=0.68
    ) as sheet:
        drawn = sheet.axes(len(panels), right_in=1.15, gap_in=1.25)
        for axes in drawn:
            axes.set(xscale="log", yscale="log", ylim=style.rtf_limits(rows, padded=True))
        ends = [
            _lines(axes, chosen, look) for axes, chosen in zip(drawn, panels.values(), strict=True)
        ]
        for axes, protocol, names_at in zip(drawn, panels, ends, strict=True):
            _real_time(axes, sheet.figure.get_figheight())
            style.plain_log_ticks(axes.yaxis)
            style.direct_labels(axes, names_at)
            axes.set_title(f"{protocol} protocol", loc="left", fontsize=10, color=INK, pad=28)
            axes.set_xlabel("samples a chunk (seconds)")
        sheet.figure.axes[0].set_ylabel("RTF")
        return sheet.finish(name)


def _lines(
    axes: Axes, rows: Sequence[CellSummary], look: style.Looks
) -> list[tuple[float, float, style.Look]]:
    """Draw a line an engine and return where each ends."""
    sizes = sorted({row.chunk_samples for row in rows})
    ends: list[tuple[float, float, style.Look]] = []
    for each, own in grouped((compare.side(row), row) for row in rows).items():
        line = sorted(own, key=lambda row: row.chunk_samples)
        drawn = look[each]
        x = [row.chunk_samples for row in line]
        y = [row.rtf or 0.0 for row in line]
        axes.plot(x, y, **drawn.style, markersize=5.5, linewidth=1.8)
        computed = [row.rtf_padded or row.rtf or 0.0 for row in line]
        axes.plot(x, computed, color=drawn.color, linewidth=1.3, linestyle=":")
        # Where a size has no interval, the band has a gap.
        bands = [row.rtf_ci95 or (math.nan, math.nan) for row in line]
        lows, highs = zip(*bands, strict=True)
        axes.fill_between(x, lows, highs, color=drawn.color, alpha=0.2, linewidth=0)
        ends.append((x[-1], y[-1], drawn))
    axes.set_xticks(sizes, [f"{size}\n({size / SAMPLE_RATE_HZ:g})" for size in sizes], fontsize=8)
    axes.minorticks_off()
    return ends


def _real_time(axes: Axes, figure_in: float) -> None:
    """Draw the line on which processing takes as long as the audio lasts.

    Far above the data it would press them flat: it then stands over a break of the axis.
    """
    low, high = axes.get_ylim()
    if high * FAR > 1:
        axes.set_ylim(low, max(high, 1.2))
        axes.axhline(1.0, color=MUTED, linewidth=1.2, linestyle=style.DASHED)
        axes.annotate("real time (RTF 1)", (0.02, 1.0), xycoords=("axes fraction", "data"),
                      xytext=(0, -3), textcoords="offset points", va="top", fontsize=8.5,
                      color=MUTED)  # fmt: skip
        return
    top = axes.get_position().height * figure_in
    line, cut = 1 + 0.16 / top, 0.05 / top
    axes.plot([0, 1], [line, line], color=MUTED, linewidth=1.2, linestyle=style.DASHED,
              transform=axes.transAxes, clip_on=False)  # fmt: skip
    for height in (1 - cut / 2, 1 + cut):  # the break of the axis
        axes.plot([-0.015, 0.015], [height, height + cut], color=MUTED, linewidth=1,
                  transform=axes.transAxes, clip_on=False)  # fmt: skip
    axes.annotate("real time: RTF 1, not to scale", (1, line), xycoords="axes fraction",
                  xytext=(0, 2), textcoords="offset points", ha="right", va="bottom",
                  fontsize=8.5, color=MUTED)  # fmt: skip


def _finding(summary: Summary, panels: dict[str, list[CellSummary]]) -> str:
    """Say which engines lead at which size, as far as paired ratios tell."""
    protocol = STEADY.name if STEADY.name in panels else next(iter(panels))
    rows = panels[protocol]
    conditions = {row.chunk_samples: row.condition for row in rows}
    found = {size: compare.lead(summary, conditions[size]) for size in sorted(conditions)}
    named = compare.engine_names(rows)
    at: dict[str, list[int]] = {}
    for size, each in found.items():
        if each is not None and each.behind:
            at.setdefault(compare.group_name(each, named), []).append(size)
    if len(at) == 1 and len(found) == len(next(iter(at.values()))):
        (name,) = at
        by = [end for each in found.values() if each for end in each.by]
        verb = "are" if " and " in name else "is"
        factor = compare.span((min(by), max(by)))
        others = compare.behind_name([each for each in found.values() if each], named)
        return f"{name} {verb} {factor} times as fast as {others} at every chunk size ({protocol})"
    if at:
        texts = [f"{name} at {', '.join(map(str, sizes))}" for name, sizes in at.items()]
        rest = len(found) - sum(map(len, at.values()))
        texts += [f"a tie at {figures.counted(rest, 'other size')}"] if rest else []
        return f"the fastest engine depends on the chunk size: {'; '.join(texts)}"
    if all(compare.has_intervals(summary, where) for where in conditions.values()):
        return f"no engine is ahead of all others at any chunk size ({protocol})"
    slowest = max(row.rtf or 0.0 for row in rows)
    return f"every engine is {figures.times(1 / slowest)} real time or faster ({protocol})"


PANELS_A_ROW = 3
MOST_PANELS = 6


def by_threads(summary: Summary) -> Iterator[style.Picture]:
    """Yield a picture for each protocol and chunk size that has several thread counts."""
    measured = [row for row in summary.cells if row.rtf is not None]
    alike = grouped(((row.protocol, row.chunk_samples), row) for row in measured)
    for (protocol, size), rows in alike.items():
        known = grouped((row.model, row.threads) for row in rows if _speedup(rows, row))
        models = [model for model, threads in known.items() if len(set(threads)) > 1]
        if models:
            yield _thread_picture(summary, rows, models[:MOST_PANELS], protocol, size)


def _thread_picture(
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
        title=_thread_finding(rows), caption=text, height_in=2.5 + 3.2 * (lines - 1), keys=keys
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


def _thread_finding(rows: Sequence[CellSummary]) -> str:
    known = [(row.threads, up) for row in rows if (up := _speedup(rows, row)) is not None]
    if not known:
        return "No row was measured with one thread and with more"
    most = max(threads for threads, _ in known)
    found = [up for threads, up in known if threads == most]
    low, high = figures.times(min(found)), figures.times(max(found))
    return f"{most} threads are {low} to {high} as fast as one"
