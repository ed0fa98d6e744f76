"""Ratios of several runs: one host's over its runs, and the same ones on several hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.report import figures
from rtfbench.report.compare import setting
from rtfbench.report.history import HostHistory, Series
from rtfbench.report.hosts import Line, NamedRun, against, conclusion, lines
from rtfbench.report.palette import MUTED
from rtfbench.report.plots.style import (
    Look,
    Picture,
    Sheet,
    numbered,
    plain_log_ticks,
    plain_name,
)
from rtfbench.results.cells import Condition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The axis has room for so many runs' names.
MOST_TICKS = 7
#: A name on the axis has so many characters a line.
TICK_CHARS = 14
#: Series stand this far apart within a run.
APART = 0.12


def history(host: HostHistory, number: int) -> Iterator[Picture]:
    """Yield a picture of each model and setting of several runs; `number` tells hosts apart."""
    for where in dict.fromkeys(s.where for s in host.series if len(s.points) > 1):
        yield _picture(host, number, [each for each in host.series if each.where == where])


def _picture(host: HostHistory, number: int, series: Sequence[Series]) -> Picture:
    where, title = series[0].where, series[0].title
    looks = numbered(_label(each, series) for each in series)
    words = [host.name, setting(where), "95 % intervals"]
    if any(each.levels for each in series):
        words += ["lines: levels; dashed: a change"]
    if any(run.disturbed for run in host.runs):
        words += ["hollow: a disturbed run"]
    with Sheet(
        title=f"{title}: {_finding(series, len(host.runs))}",
        caption=" · ".join(words),
        height_in=3.0,
        keys=looks,
    ) as sheet:
        (axes,) = sheet.axes(left_in=0.85)
        axes.set_yscale("log")
        ends: list[float] = []
        for index, (each, look) in enumerate(zip(series, looks, strict=True)):
            ends += _line(axes, host, each, look, APART * (index - (len(series) - 1) / 2))
        axes.set_ylim(min(ends) / 1.04, max(ends) * 1.04)
        axes.set_xlim(-0.5, len(host.runs) - 0.5)
        plain_log_ticks(axes.yaxis)
        axes.set_ylabel("times as long (log)")
        shown = range(0, len(host.runs), -(-len(host.runs) // MOST_TICKS))
        names = [each.environment.commit or each.folder.rsplit("/", 1)[-1] for each in host.runs]
        ticks = [f"{host.runs[place].day}\n{names[place][:TICK_CHARS]}" for place in shown]
        axes.set_xticks(list(shown), ticks, fontsize=8)
        return sheet.finish(f"history-{number}-{_name(where)}")


def _line(axes: Axes, host: HostHistory, series: Series, look: Look, shift: float) -> list[float]:
    """Draw a ratio and return what the axis has to show."""
    place = {id(run): index for index, run in enumerate(host.runs)}
    ends: list[float] = []
    for point in series.points:
        middle = point.ratio.ratio
        low, high = point.ratio.ci95 or (middle, middle)
        ends += [low, high]
        axes.errorbar(
            [place[id(point.run)] + shift], [middle], yerr=[[middle - low], [high - middle]],
            **look.style, markersize=5.5, capsize=2.5, linewidth=1.3,
            markerfacecolor="none" if point.run.disturbed else look.color,
        )  # fmt: skip
    places = [place[id(point.run)] for point in series.searched]
    for level in series.levels:
        reach = [places[level.runs[0]] - 0.4, places[level.runs[-1]] + 0.4]
        axes.plot(reach, [level.ratio] * 2, color=look.color, linewidth=1.6, alpha=0.6)
    for change in series.changes:
        at = place[id(change.first_after)] - 0.5
        axes.axvline(at, color=MUTED, linewidth=1.2, linestyle="--")
        axes.annotate(
            figures.times(change.factor), (at, 1), xycoords=("data", "axes fraction"),
            xytext=(3, -2), textcoords="offset points", va="top", color=look.color, fontsize=9,
            weight="bold",
        )  # fmt: skip
    return ends


def _finding(series: Sequence[Series], runs: int) -> str:
    """Say the newest change, or that there is none."""
    found = [(each, change) for each in series for change in each.changes]
    if found:
        each, change = max(found, key=lambda pair: pair[1].first_after.environment.started_utc)
        times, day = figures.factor(change.factor), change.first_after.day
        return f"{_label(each, series)} is {times} times what it was since {day}"
    off = [each for each in series if each.newest_is_off is not None]
    if off:
        times = figures.factor(off[0].newest_is_off or 1.0)
        return f"the newest run of {_label(off[0], series)} is {times} times its level"
    searched = any(each.levels for each in series)
    counted = figures.counted(runs, "run")
    return f"no change in {counted}" if searched else f"{counted}, no change looked for"


def _label(series: Series, others: Sequence[Series]) -> str:
    """Name a ratio; forms are named where an engine is there in both."""
    sides = (series.left, series.right)
    engines = [side.engine for each in others for side in {each.left, each.right}]
    forms = {(s.engine, s.form) for each in others for s in (each.left, each.right)}
    both = {engine for engine in engines if len({f for e, f in forms if e == engine}) > 1}
    names = [f"{s.engine} {s.form}" if s.engine in both else s.engine for s in sides]
    return " / ".join(names)


def _name(where: Condition) -> str:
    """Return a condition as part of a file's name."""
    model = plain_name(where.model)
    more = f"-j{where.jobs}" * (where.jobs > 1) + f"-b{where.batch}" * (where.batch > 1)
    more += f"-{plain_name(str(where.load))}" if where.load else ""
    return f"{model}-{where.protocol}-{where.chunk_samples}-t{where.threads}{more}"


#: A line of the picture is so high; hosts stand this far apart within it.
LINE_IN, HOST_APART = 0.34, 0.2
#: A picture shows so many ratios.
MOST_LINES = 40


def hosts(runs: Sequence[NamedRun]) -> Picture | None:
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
                height = index + HOST_APART * (number - (len(keys) - 1) / 2)
                low, high = each.ci95 or (each.ratio, each.ratio)
                ends += [low, high]
                axes.errorbar(
                    [each.ratio], [height], xerr=[[each.ratio - low], [high - each.ratio]],
                    **look.style, markersize=6, capsize=3, linewidth=1.4,
                )  # fmt: skip
        axes.axvline(1.0, color=MUTED, linewidth=1.2, linestyle="--")
        axes.set_xlim(min(ends) / 1.08, max(ends) * 1.08)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_yticks(range(len(shown)), [_line_name(line) for line in shown], fontsize=8.5)
        plain_log_ticks(axes.xaxis)
        axes.set_xlabel("times as long as the second engine (log)")
        return sheet.finish("ratios-by-host")


def _line_name(line: Line) -> str:
    turn = " ⇄" if line.verdict == "turns" else ""
    return f"{line.title}, {against(line.left, line.right)}{turn}\n{setting(line.where)}"
