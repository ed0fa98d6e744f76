"""Latency over load: what callers wait for as more requests arrive, one line an engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rtfbench.base.values import grouped
from rtfbench.report import figures
from rtfbench.report.compare import engine_names, listed, side
from rtfbench.report.plots import style
from rtfbench.results import protocols
from rtfbench.results.rows import CellSummary, Summary

#: The quantile that is drawn: the highest that every row has.
SHARES = (("latency_ms_p99", "99"), ("latency_ms_p95", "95"), ("latency_ms_p50", "50"))

#: A title names no more engines.
MOST_NAMED = 3


def draw(summary: Summary) -> Iterator[style.Picture]:
    """Yield a picture for each setting under which there are two loads or more."""
    rows = [
        row
        for row in summary.cells
        if row.load is not None and row.rtf is not None and row.figure(SHARES[-1][0]) is not None
    ]
    places = grouped(((row.model, row.protocol, *row.setting[:-1]), row) for row in rows)
    for number, some in enumerate(places.values(), start=1):
        if len({row.rate_per_s for row in some}) > 1:
            yield _picture(summary, some, f"latency-by-load-{some[0].model}-{number}")


def _picture(summary: Summary, rows: Sequence[CellSummary], name: str) -> style.Picture:
    first = rows[0]
    share, told = next(
        each for each in SHARES if all(row.figure(each[0]) is not None for row in rows)
    )
    streams = first.load is not None and first.load.streams > 0
    most = max(rows, key=lambda row: row.rate_per_s)
    last = [row for row in rows if row.rate_per_s == most.rate_per_s]
    named = engine_names(last)
    within = [f"{figures.number(row.figure(share))} ms on {named[side(row)]}" for row in last]
    if len(last) > MOST_NAMED:
        low, high = (f(row.figure(share) or 0.0 for row in last) for f in (min, max))
        within = [f"{figures.number(low)} to {figures.number(high)} ms"]
    what = f"at {most.load}, {told} of 100 requests are answered within"
    title = f"{first.title}: {what} {listed(within)}"
    remarks = [
        protocols.named(first.protocol).clock,
        figures.setting(*first.setting[:-1]),
        "bars: 95 % interval, where sessions tell one",
    ]
    if any((row.own_ci95 or {}).get(share, (0.0, 0.0))[1] is None for row in rows):
        remarks[-1] += "; with an arrow, none tells its upper end"
    limit_ms = None if first.load is None else first.load.latency_ms
    if limit_ms is not None:
        remarks.append(f"dashed: the limit of {limit_ms:g} ms")
    look = style.looks(summary)
    with style.Sheet(
        title=title, caption=style.caption(summary, rows, *remarks), height_in=3.6
    ) as sheet:
        (axes,) = sheet.axes(right_in=1.4)
        axes.set_yscale("log")
        ends = []
        for each, own in grouped((side(row), row) for row in rows).items():
            line = sorted(own, key=lambda row: row.rate_per_s)
            drawn = look[each]
            x = [row.load.streams if streams and row.load else row.rate_per_s for row in line]
            y = [row.figure(share) or math.nan for row in line]
            known = [(row.own_ci95 or {}).get(share) for row in line]
            ranges = [ci or (value, value) for value, ci in zip(y, known, strict=True)]
            bars = [
                [value - low for value, (low, _) in zip(y, ranges, strict=True)],
                [(high or value) - value for value, (_, high) in zip(y, ranges, strict=True)],
            ]
            axes.errorbar(x, y, yerr=bars, **drawn.style, linewidth=1.8, capsize=3)
            for at, value, ci in zip(x, y, known, strict=True):
                if ci and ci[1] is None:
                    axes.annotate(
                        "", xy=(at, value), xytext=(0, 18), textcoords="offset points",
                        arrowprops={"arrowstyle": "<-", "color": drawn.color, "linewidth": 1.6},
                    )  # fmt: skip
            ends.append((float(x[-1]), y[-1], drawn))
        if limit_ms is not None:
            axes.axhline(limit_ms, color="0.4", linewidth=1.2, linestyle=style.DASHED)
        style.plain_log_ticks(axes.yaxis)
        style.direct_labels(axes, ends)
        axes.set_xlabel("live streams" if streams else "requests a second")
        axes.set_ylabel(f"latency ms, {told} of 100 stay under")
        return sheet.finish(name)
