"""RTF by model and engine, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.report import figures
from rtfbench.report.compare import (
    engine_names,
    group_name,
    has_intervals,
    lead,
    listed,
    side,
    told,
)
from rtfbench.report.palette import MUTED
from rtfbench.report.plots import style
from rtfbench.results import protocols
from rtfbench.results.rows import CellSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A title names so many winners.
MOST_WINNERS = 3


def draw(summary: Summary) -> Iterator[style.Picture]:
    """Yield a picture for each thread count, at the chunk size that most models were run with."""
    measured = [row for row in summary.cells if row.rtf is not None]
    for threads in sorted({row.threads for row in measured}):
        rows = [row for row in measured if row.threads == threads]
        models = Counter(size for _, size in {(row.model, row.chunk_samples) for row in rows})
        size = max(models, key=lambda each: (models[each], each == PUBLISHED_CHUNK_SAMPLES, -each))
        yield _picture(
            summary, [row for row in rows if row.chunk_samples == size], f"rtf-by-model-t{threads}"
        )


def _picture(summary: Summary, rows: Sequence[CellSummary], name: str) -> style.Picture:
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    look = style.looks(summary)
    titles = _by_speed(rows)
    used = [look[each] for each in dict.fromkeys(map(side, rows))]
    # With one model, the engines' own names stand at the lines; no key is needed.
    lines = titles if len(titles) > 1 else [each.label for each in used]
    where = figures.chunk(rows[0].chunk_samples)
    drawn = {(row.threads, row.chunk_samples) for row in rows}
    failed = style.failures(r for r in summary.cells if (r.threads, r.chunk_samples) in drawn)
    with style.Sheet(
        title=_finding(summary, rows, titles),
        caption=style.caption(
            summary, rows, where, style.interval_remark(rows, "whisker"), style.not_drawn(failed)
        ),
        height_in=0.3 + len(lines) * (0.42 if len(titles) > 1 else 0.36),
        keys=used if len(titles) > 1 else (),
    ) as sheet:
        panels = sheet.axes(len(protocols), left_in=0.35 + 0.085 * max(map(len, lines)), gap_in=0.5)
        for axes, protocol in zip(panels, protocols, strict=True):
            # The same limits in every panel, so that protocols can be compared by eye.
            axes.set(xscale="log", xlim=style.rtf_limits(rows))
            _panel(axes, [row for row in rows if row.protocol == protocol], lines, look)
            style.plain_log_ticks(axes.xaxis)
            axes.set_xlabel(f"RTF, {protocol} protocol (left is faster)")
        return sheet.finish(name)


def _panel(
    axes: Axes, rows: Sequence[CellSummary], lines: Sequence[str], look: style.Looks
) -> None:
    sides = list(dict.fromkeys(map(side, rows)))
    for row in rows:
        drawn = look[side(row)]
        if row.title in lines:
            # Side by side within a model's band, so that equal figures stay visible.
            shift = (sides.index(side(row)) - (len(sides) - 1) / 2) * min(0.2, 0.7 / len(sides))
            line = lines.index(row.title) + shift
        else:
            line = lines.index(drawn.label)
        axes.errorbar(
            [row.rtf or 0.0], [line], xerr=style.error_bar(row), **drawn.style,
            markersize=6, capsize=3, linewidth=1.4,
        )  # fmt: skip
    axes.set_yticks(range(len(lines)), lines)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(False, axis="y")
    for boundary in range(1, len(lines)):
        axes.axhline(boundary - 0.5, color=MUTED, linewidth=0.3)


def _by_speed(rows: Sequence[CellSummary]) -> list[str]:
    best: dict[str, float] = {}
    for row in rows:
        best[row.title] = min(best.get(row.title, float("inf")), row.rtf or 0.0)
    return sorted(best, key=lambda title: best[title])


def _finding(summary: Summary, rows: Sequence[CellSummary], titles: Sequence[str]) -> str:
    protocol = protocols.steady_first(rows)[0].protocol
    chosen = [row for row in rows if row.protocol == protocol]
    wheres = list(dict.fromkeys(row.condition for row in chosen))
    found = [(where, lead(summary, where)) for where in wheres]
    named = engine_names(chosen)
    if len(wheres) == 1 and (ahead := found[0][1]):
        return f"{titles[0]}: {told(ahead, named)} ({protocol})"
    if len(wheres) == 1 and has_intervals(summary, wheres[0]):
        return f"{titles[0]}: no engine is ahead of all others ({protocol})"
    leads = [each for _, each in found if each and each.behind]
    wins = Counter(group_name(each, named) for each in leads)
    if len(wins) > MOST_WINNERS:
        among = Counter(named[one] for each in leads for one in each.group)
        texts = [f"{name} on {count}" for name, count in among.most_common(MOST_WINNERS)]
        return f"Among the fastest of {len(titles)} models: {listed(texts)} ({protocol})"
    if wins:
        texts = [
            f"{name} lead{'s' * (' and ' not in name)} on {count}"
            for name, count in wins.most_common(MOST_WINNERS)
        ]
        rest = len(wheres) - sum(count for _, count in wins.most_common(MOST_WINNERS))
        texts += [f"others or nobody on {rest}"] if rest else []
        return f"Of {len(titles)} models, {', '.join(texts)} ({protocol})"
    low, high = min(r.rtf or 0.0 for r in chosen), max(r.rtf or 0.0 for r in chosen)
    what = titles[0] if len(titles) == 1 else f"{len(titles)} models"
    return f"{what}: RTF {figures.number(low)} to {figures.number(high)} ({protocol})"
