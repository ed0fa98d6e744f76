"""Time by length, and memory from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtfbench.report.lengths import conditions, growth
from rtfbench.report.plots.style import Look, Picture, Sheet, numbered
from rtfbench.results.explanation import EngineLengths, LengthReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT_IN = 2.9
NAME = "lengths"
#: How first visits, coming back and staying are drawn.
LINES = (("first_ms", ":"), ("back_ms", "--"), ("again_ms", "-"))


def draw(found: LengthReport) -> Picture | None:
    """Return the picture, None where no engine has both times and memory."""
    engines = [engine for engine in found.engines if engine.lengths]
    if not engines:
        return None
    looks = numbered(engine.engine for engine in engines)
    caption = (
        f"{conditions(found)} Dotted: first visit of a length; dashed: coming back to it; solid: "
        "the same length again. Memory: resident size of the process after each run"
    )
    with Sheet(
        title=f"{found.model}: {_title(engines)}", caption=caption, height_in=HEIGHT_IN, keys=looks
    ) as sheet:
        times, memory = sheet.axes(2, sharey=False, gap_in=0.8)
        for engine, look in zip(engines, looks, strict=True):
            _times(times, engine, look)
            memory.plot(engine.memory_mb, color=look.color, linewidth=1.1)
        times.set_xlabel("frames")
        times.set_ylabel("ms a run")
        times.set_ylim(bottom=0)
        memory.set_xlabel("run")
        memory.set_ylabel("MB")
        return sheet.finish(NAME)


def _times(axes: Axes, engine: EngineLengths, look: Look) -> None:
    for field, style in LINES:
        points = [
            (each.num_frames, ms)
            for each in engine.lengths
            if (ms := getattr(each, field)) is not None
        ]
        x, y = zip(*points, strict=True)
        axes.plot(x, y, **look.style, linestyle=style, markersize=4, linewidth=1.1)


def _title(engines: Sequence[EngineLengths]) -> str:
    """Say the first leak, else the first arena that grows, else that there is neither."""
    for kind in ("leaks", "arena_grows"):
        for engine in engines:
            if getattr(engine, kind):
                return f"{engine.engine}, {growth(engine).partition(':')[0]}"
    return "no engine's memory grows from run to run"
