"""What all pictures share: looks, title, caption, and how they become bytes.

An engine has its colour and marker in every picture of a result.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rtfbench.engines.protocol import FLOAT32
from rtfbench.report import figures
from rtfbench.report.compare import engine_names, side, versions
from rtfbench.report.palette import GRID, INK, MUTED, PAPER, SERIES
from rtfbench.results.rows import CellSummary, EngineForm, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DASHED = (0, (5, 3))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Look:
    """How an engine is drawn in every picture of a result."""

    label: str
    color: str
    marker: str

    @property
    def style(self) -> dict[str, Any]:
        """Colour and marker, as matplotlib's arguments."""
        return {"color": self.color, "marker": self.marker}


def numbered(labels: Iterable[str]) -> list[Look]:
    """Give each label a colour and a marker of its own, as long as there are any."""
    return [
        # A colour that comes again has the next marker.
        Look(
            label,
            SERIES[index % len(SERIES)],
            MARKERS[sum(divmod(index, len(SERIES))) % len(MARKERS)],
        )
        for index, label in enumerate(labels)
    ]


#: Of each engine and form.
Looks = dict[EngineForm, Look]


def looks(summary: Summary) -> Looks:
    """Give each engine and form its colour and marker, the same in every picture.

    Where there are other precisions than float32, an engine's rows share its colour, and rows in
    one precision their marker.
    """
    rows = [row for row in summary.cells if row.rtf is not None]
    named = engine_names(rows)
    if all(row.precision == FLOAT32 for row in rows):
        return dict(zip(named, numbered(named.values()), strict=True))
    engines = list(dict.fromkeys((row.engine, str(row.settings)) for row in rows))
    precisions = list(dict.fromkeys(row.precision for row in rows))
    return {
        side(row): Look(
            named[side(row)],
            SERIES[engines.index((row.engine, str(row.settings))) % len(SERIES)],
            MARKERS[precisions.index(row.precision) % len(MARKERS)],
        )
        for row in rows
    }


WIDTH_IN = 8.0
DPI = 160
TITLE_CHARS, TITLE_LINE_IN = 74, 0.225
CAPTION_CHARS, CAPTION_LINE_IN = 128, 0.145
KEYS_A_LINE, KEY_LINE_IN = 5, 0.22
#: Between the words and the axes: panel titles above, tick labels and the axis label below.
ABOVE_IN, BELOW_IN = 0.38, 0.68
#: A caption names so many of the things that are not drawn.
NAMED = 4
#: An axis that spans less than this factor has ticks at even steps; every one has so many.
NARROW, FEWEST_TICKS = 3.0, 3
#: A tick outside of the data is shown where it is no further than this share of the axis.
NEAR_TICK = 0.3
#: Names at the ends of lines stand so far apart, in points.
NAME_GAP = 13.0
#: Labels of ticks need so many pixels, across and upright.
LABEL_PX = (44.0, 16.0)

_SETTINGS: Any = {
    "svg.hashsalt": "rtfbench",  # ids that do not change from run to run
    "svg.fonttype": "path",  # looks the same wherever it is opened
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
}


def plain_name(text: str) -> str:
    """Return a text as the name of a file; models may be paths, also of somebody else's run."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)


@dataclass(frozen=True)
class Picture:
    """A finished picture; `title` and `caption` are the words that stand in it.

    Its files are written when one is asked for, which takes longer than all that comes before.
    """

    name: str
    title: str
    caption: str
    sheet: Sheet = field(repr=False, compare=False)

    @cached_property
    def _files(self) -> tuple[bytes, bytes]:
        return self.sheet.written("svg"), self.sheet.written("png")

    @property
    def svg(self) -> bytes:
        """As SVG."""
        return self._files[0]

    @property
    def png(self) -> bytes:
        """As PNG."""
        return self._files[1]

    def _repr_png_(self) -> bytes:
        """Show it in a notebook."""
        return self.png


class Sheet:
    """A figure with a title that says the finding and a caption that says the conditions."""

    def __init__(
        self,
        *,
        title: str,
        caption: str,
        height_in: float,
        keys: Sequence[Look] = (),
        above_in: float = ABOVE_IN,
    ) -> None:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._title, self._caption, self._keys = title, caption, keys
        self._title_lines = wrap(title, TITLE_CHARS)
        self._caption_lines = wrap(caption, CAPTION_CHARS)
        self._words_in = 0.16 + TITLE_LINE_IN * len(self._title_lines)
        self._top_in = self._words_in + KEY_LINE_IN * -(-len(keys) // KEYS_A_LINE) + above_in
        self._bottom_in = 0.1 + CAPTION_LINE_IN * len(self._caption_lines) + BELOW_IN
        self._height_in = self._top_in + height_in + self._bottom_in
        self._context = matplotlib.rc_context(_SETTINGS)
        with matplotlib.rc_context(_SETTINGS):
            self.figure: Figure = Figure(figsize=(WIDTH_IN, self._height_in), facecolor=PAPER)
            FigureCanvasAgg(self.figure)

    def __enter__(self) -> Sheet:
        self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)

    def axes(
        self,
        columns: int = 1,
        rows: int = 1,
        *,
        left_in: float = 0.78,
        right_in: float = 0.2,
        gap_in: float = 0.5,
        row_gap_in: float = 0.75,
        sharey: bool = True,
        used: int | None = None,
    ) -> list[Axes]:
        """Return panels in reading order, inside of the margins that title and caption need.

        Of so many that are `used`, the others are not shown.
        """
        wide = (WIDTH_IN - left_in - right_in - gap_in * (columns - 1)) / columns
        inner_in = self._height_in - self._top_in - self._bottom_in
        tall = (inner_in - row_gap_in * (rows - 1)) / rows
        found = self.figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharey=sharey,
            gridspec_kw={
                **self.margins(left_in=left_in, right_in=right_in),
                "wspace": gap_in / wide,
                "hspace": row_gap_in / tall,
            },
        )
        panels: list[Axes] = list(found.flat)
        for panel in panels:
            dress(panel)
        for panel in panels[used:] if used else ():
            panel.set_visible(False)
        return panels[:used]

    def margins(self, *, left_in: float = 0.78, right_in: float = 0.2) -> dict[str, float]:
        """Return the sides of what title and caption leave, as shares of the figure."""
        return {
            "left": left_in / WIDTH_IN,
            "right": 1 - right_in / WIDTH_IN,
            "top": 1 - self._top_in / self._height_in,
            "bottom": self._bottom_in / self._height_in,
        }

    def finish(self, name: str) -> Picture:
        """Write title, key and caption and return the picture."""
        left = 0.02
        title, caption = "\n".join(self._title_lines), "\n".join(self._caption_lines)
        self.figure.text(
            left, 1 - 0.14 / self._height_in, title, va="top", fontsize=12.5, weight="bold"
        )
        if self._keys:
            self._key(left)
        self.figure.text(
            left, 0.1 / self._height_in, caption, va="bottom", fontsize=7.6, color=MUTED
        )
        return Picture(plain_name(name), self._title, self._caption, self)

    def _key(self, left: float) -> None:
        """Write the engines' names beside their markers, where lines have no end to stand at."""
        from matplotlib.lines import Line2D

        self.figure.legend(
            [Line2D([], [], **look.style, linestyle="", markersize=6.5) for look in self._keys],
            [look.label for look in self._keys],
            loc="upper left", ncols=min(len(self._keys), KEYS_A_LINE),
            bbox_to_anchor=(left, 1 - (self._words_in + 0.02) / self._height_in), frameon=False,
            fontsize=9, handlelength=1.0, handletextpad=0.3, columnspacing=1.4, borderpad=0,
            borderaxespad=0, labelcolor=[look.color for look in self._keys],
        )  # fmt: skip

    def written(self, kind: str) -> bytes:
        """Return the picture as a file of a kind, svg or png."""
        import matplotlib

        buffer = io.BytesIO()
        # Without these, every file would differ by its date or the library's version.
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        with matplotlib.rc_context(_SETTINGS):
            self.figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        return buffer.getvalue()


def dress(panel: Axes) -> None:
    """Give a panel the looks of all."""
    panel.set_facecolor("none")
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_axisbelow(True)
    panel.grid(True, color=GRID, linewidth=0.7)
    panel.tick_params(length=3)


def wrap(text: str, chars: int) -> list[str]:
    """Return lines of about one length; none begins with a number, a unit or a dot between."""
    unbroken = re.sub(r"(?<!·) (?=[\d%·]|ms\b|s\b|thread)", "\N{NO-BREAK SPACE}", text)
    lines = narrower = textwrap.wrap(unbroken, chars)
    while 1 < len(lines) == len(narrower) and chars > 1:
        lines, chars = narrower, chars - 1
        narrower = textwrap.wrap(unbroken, chars, break_long_words=False)
    return lines


def not_drawn(what: Iterable[str]) -> str:
    """Say what a picture leaves out, empty where that is nothing."""
    missing = list(dict.fromkeys(what))
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"not drawn: {', '.join(missing[:NAMED])}{more}" if missing else ""


def failures(rows: Iterable[CellSummary]) -> list[str]:
    """Name the rows that should be drawn and have no RTF."""
    return [
        f"{row.title} on {row.engine_label} {row.form} ({row.ended})"
        for row in rows
        if row.rtf is None and row.engine != "null"
    ]


def caption(summary: Summary, rows: Sequence[CellSummary], *remarks: str) -> str:
    """Say what was measured where: machine, versions, threads, then the remarks."""
    environment = summary.environment
    threads = sorted({row.threads for row in rows})
    counts = ", ".join(map(str, threads)) + (" threads" if threads != [1] else " thread")
    host = f"{environment.cpu_kind}, {environment.core_count} cores"
    audio = f"{figures.counted(len(environment.audio), 'utterance')}, {environment.audio_s:.0f} s"
    words = [host, ", ".join(versions(rows)), counts, audio, f"rtfbench {environment.rtfbench}"]
    return " · ".join([*words, *(remark for remark in remarks if remark)])


def interval_remark(rows: Iterable[CellSummary], mark: str) -> str:
    """Say what the interval's mark means, or that there are too few passes for intervals."""
    known = [row.rtf_ci95 is not None for row in rows]
    if all(known):
        return f"{mark}: 95 % interval"
    if any(known):
        return f"{mark}: 95 % interval, where there are two sessions or more"
    return "no intervals: a single session"


def direct_labels(axes: Axes, points: Sequence[tuple[float, float, Look]]) -> None:
    """Write each line's name at its end; names that would overlap are moved apart, in points."""
    axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]  # positions become known
    placed: list[float] = []
    scale = 72 / axes.figure.dpi
    for x, y, look in sorted(points, key=lambda point: point[1]):
        height = float(axes.transData.transform((x, y))[1]) * scale
        wanted = max(height, placed[-1] + NAME_GAP) if placed else height
        placed.append(wanted)
        axes.annotate(
            look.label.replace("[", "\n["), (x, y), xytext=(9, wanted - height),
            textcoords="offset points", va="center", color=look.color, fontsize=9, weight="bold",
            annotation_clip=False,
        )  # fmt: skip


def plain_log_ticks(axis: Any) -> None:
    """Label a log axis with plain numbers, three at least: at 1, 2 and 5, or at even steps.

    Of those, the first that has a tick on both sides of the data is taken; the axis grows to them.
    """
    from matplotlib import ticker

    low, high = sorted(axis.get_view_interval())
    across = axis.axis_name == "x"
    wide = [ticker.LogLocator(base=10, subs=(1.0, 2.0, 5.0))] if high / low >= NARROW else []
    even = [ticker.MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]) for count in range(3, 12)]
    length_px = axis.axes.bbox.width if across else axis.axes.bbox.height
    apart = math.log(high / low) * LABEL_PX[0 if across else 1] / length_px
    reach = math.exp(NEAR_TICK * math.log(high / low))

    def labelled(locator: Any) -> list[float]:
        """Return the ticks that have room for their labels, with those next to the data."""
        ticks = [float(tick) for tick in locator.tick_values(low, high) if tick > 0]
        first = max((tick for tick in ticks if low / reach <= tick <= low), default=low)
        last = min((tick for tick in ticks if high <= tick <= high * reach), default=high)
        kept: list[float] = []
        for tick in ticks:
            if first <= tick <= last and (not kept or math.log(tick / kept[-1]) >= apart):
                kept.append(tick)
        return kept

    found = [ticks for each in [*wide, *even] if (ticks := labelled(each))]
    enough = [ticks for ticks in found if len(ticks) >= FEWEST_TICKS]
    around = (ticks for ticks in enough if ticks[0] <= low and ticks[-1] >= high)
    ticks = next(around, next(iter(enough), max(found, key=len)))
    limits = min(low, ticks[0]), max(high, ticks[-1])
    (axis.axes.set_xlim if across else axis.axes.set_ylim)(*limits)
    axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def error_bar(row: CellSummary) -> list[list[float]] | None:
    """Return the distances from the RTF to the ends of its interval, None where there is none."""
    if row.rtf is None or row.rtf_ci95 is None:
        return None
    return [[max(row.rtf - row.rtf_ci95[0], 0.0)], [max(row.rtf_ci95[1] - row.rtf, 0.0)]]


def rtf_limits(rows: Sequence[CellSummary], *, padded: bool = False) -> tuple[float, float]:
    """Return limits of a log axis that show every RTF with its interval, and some room.

    With `padded`, the RTFs over the computed duration are shown too.
    """
    lows = [min(row.rtf_ci95[0] if row.rtf_ci95 else row.rtf, row.rtf) for row in rows if row.rtf]
    lows += [row.rtf_padded for row in rows if padded and row.rtf_padded]
    highs = [max(row.rtf_ci95[1] if row.rtf_ci95 else row.rtf, row.rtf) for row in rows if row.rtf]
    room = max((max(highs) / min(lows)) ** 0.08, 1.08)
    return min(lows) / room, max(highs) * room
