"""RTF against chunk size: one line an engine with its 95 % band, and the real-time line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.base.values import grouped
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ, WHOLE_UTTERANCE
from rtfbench.report import compare, figures
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


def draw(summary: Summary) -> Iterator[style.Picture]:
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
