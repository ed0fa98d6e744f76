"""The race as a picture: a panel a heat, who stood where at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report.palette import BLUE, GREEN, INK, MUTED, PALE_GREY
from bench.report.plots.style import Picture, Sheet, dress, plain_log_ticks
from bench.tune.answer import Answer, Entry, Fate
from bench.tune.report import headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS: dict[Fate, str] = {
    "named": GREEN,
    "leads": BLUE,
    "tied": BLUE,
    "open": BLUE,
    "out": PALE_GREY,
}
ROW_IN, HEAT_IN = 0.2, 0.35
#: Where the names of configurations stand.
LEFT_IN = 4.0
#: Slower ones are drawn at the edge.
MOST_RATIO = 4.0
NAME = "race"


def draw(found: Answer) -> Picture | None:
    """Return the picture of a race, None where nobody was measured."""
    heats = list(dict.fromkeys(entry.heat for entry in reversed(found.entries)))
    groups = [
        [each for each in found.entries if each.heat == heat and each.ratio is not None]
        for heat in heats
    ]
    groups = [group for group in groups if group]
    if not groups:
        return None
    never = sum(entry.ratio is None for entry in found.entries)
    remarks = [
        found.host,
        f"goal: {found.goal}",
        "right is slower; bars: 95 % interval",
        "green: named; blue: left in the race; grey: dropped",
        f"beyond {MOST_RATIO:g} at the edge",
        *([f"{never} could not be measured, see the table"] if never else []),
    ]
    rows = sum(map(len, groups))
    height_in = rows * ROW_IN + HEAT_IN * len(groups)
    title = headline(found).replace(" × ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}")
    with Sheet(title=title, caption=" · ".join(remarks), height_in=height_in) as sheet:
        panels = sheet.figure.subplots(
            len(groups),
            1,
            squeeze=False,
            sharex=True,
            gridspec_kw={
                **sheet.margins(left_in=LEFT_IN),
                "height_ratios": [len(group) + 1 for group in groups],
                "hspace": 0.35,
            },
        )[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, group)
        panels[-1].set_xlabel("time against the leader of the heat")
        return sheet.finish(NAME)


def _panel(axes: Axes, group: Sequence[Entry]) -> None:
    axes.set(xscale="log", xlim=(0.9, MOST_RATIO * 1.1), ylim=(len(group) - 0.4, -0.6))
    for row, entry in enumerate(group):
        assert entry.ratio is not None
        at = min(entry.ratio, MOST_RATIO)
        color = COLORS[entry.fate]
        if entry.interval is not None:
            low, high = (min(end, MOST_RATIO) for end in entry.interval)
            axes.plot([low, high], [row, row], color=color, linewidth=1.6, zorder=2)
        beyond = entry.ratio > MOST_RATIO
        axes.plot([at], [row], marker=">" if beyond else "o", color=color, markersize=5, zorder=3)
    axes.set_yticks(range(len(group)), [entry.configuration for entry in group], fontsize=7.5)
    for tick, entry in zip(axes.get_yticklabels(), group, strict=True):
        tick.set_color(MUTED if entry.fate == "out" else INK)
        tick.set_fontweight("bold" if entry.fate == "named" else "normal")
    axes.set_title(group[0].heat, loc="left", fontsize=9, color=INK, pad=3)
    dress(axes)
    axes.axvline(1.0, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    plain_log_ticks(axes.xaxis)
