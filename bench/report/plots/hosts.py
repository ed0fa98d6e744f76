"""The same ratios on several hosts, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rtfbench.report.compare import setting
from rtfbench.report.hosts import Line, NamedRun, against, conclusion, lines
from rtfbench.report.palette import MUTED
from rtfbench.report.plots.style import Picture, Sheet, numbered, plain_log_ticks

#: A line of the picture is so high; hosts stand this far apart within it.
LINE_IN, APART = 0.34, 0.2
#: A picture shows so many ratios.
MOST_LINES = 40


def draw(runs: Sequence[NamedRun]) -> Picture | None:
    """Return a picture of every ratio that two hosts have, None where there is none."""
    found = [line for line in lines(runs) if line.verdict != "one host"]
    if not found:
        return None
    shown = found[:MOST_LINES]
    left_out = len(found) - len(shown)
    keys = numbered(run.name for run in runs)
    remarks = ["95 % intervals", "left of 1: the first engine is faster"]
    remarks += [f"not drawn: {left_out} more ratios"] if left_out else []
    hosts = [f"{run.name}: {run.summary.environment.cpu_kind}" for run in runs]
    with Sheet(
        title=conclusion(found).removesuffix("."),
        caption=" · ".join([*hosts, *remarks]),
        height_in=max(LINE_IN * len(shown), 1.2),
        keys=keys,
    ) as sheet:
        (axes,) = sheet.axes(left_in=3.5)
        axes.set_xscale("log")
        ends: list[float] = [1.0]
        for index, line in enumerate(shown):
            for number, (look, each) in enumerate(zip(keys, line.ratios, strict=True)):
                if each is None:
                    continue
                height = index + APART * (number - (len(keys) - 1) / 2)
                low, high = each.ci95 or (each.ratio, each.ratio)
                ends += [low, high]
                axes.errorbar(
                    [each.ratio], [height], xerr=[[each.ratio - low], [high - each.ratio]],
                    **look.style, markersize=6, capsize=3, linewidth=1.4,
                )  # fmt: skip
        axes.axvline(1.0, color=MUTED, linewidth=1.2, linestyle="--")
        axes.set_xlim(min(ends) / 1.08, max(ends) * 1.08)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_yticks(range(len(shown)), [_name(line) for line in shown], fontsize=8.5)
        plain_log_ticks(axes.xaxis)
        axes.set_xlabel("times as long as the second engine (log)")
        return sheet.finish("ratios-by-host")


def _name(line: Line) -> str:
    turn = " ⇄" if line.verdict == "turns" else ""
    return f"{line.title}, {against(line.left, line.right)}{turn}\n{setting(line.where)}"
