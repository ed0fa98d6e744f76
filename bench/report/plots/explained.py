"""Pictures of what was explained: from one engine's time to another's step by step, and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rtfbench.report import figures
from rtfbench.report.lengths import conditions, growth
from rtfbench.report.palette import BLUE, INK, PALE_GREY, PAPER, RED
from rtfbench.report.plots.style import Look, Picture, Sheet, numbered
from rtfbench.results.explanation import EngineLengths, Explanation, GroupCost, LengthReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: So many steps of a panel have names; the others are one.
STEPS = 8
#: Where all times are above this share of the longest, the axis begins near the shortest.
COMMON = 0.5


class Step(NamedTuple):
    """What a group adds to the first engine's time, in milliseconds."""

    name: str
    ms: float


def waterfall(found: Explanation, other: int) -> Picture | None:
    """Return the picture of an engine, by its place, against the first one that has a profile.

    None where either has none.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if other not in found.profiled[1:]:
        return None
    first = found.profiled[0]
    panels = [
        ("by kind of operator", steps(found.kinds, other)),
        ("by part of the model", steps(found.blocks, other)),
    ]
    a, b = found.engines[first], found.engines[other]
    longest = max(len(step.name) for _, found_steps in panels for step in found_steps)
    labels_in = 0.4 + 0.075 * max(longest, len(a.engine), len(b.engine))
    height_in = 0.27 * (2 * (STEPS + 3)) + 0.9
    main = steps(found.kinds, other)[0]
    sure = any(kind.surely[other] for kind in found.kinds if kind.name == main.name)
    what = f"{main.name} make {main.ms:+.1f} ms" if sure else "no kind of operator surely differs"
    title = (
        f"{found.model}: from {figures.number(a.ms)} ms in {a.engine} to {figures.number(b.ms)} ms "
        f"in {b.engine}; {what}"
    )
    versions = ", ".join(f"{each.engine} {each.version}" for each in found.engines if each.version)
    setting = figures.setting(found.chunk_samples, found.threads)
    words = [found.cpu, versions, found.protocol, setting, f"rtfbench {found.rtfbench}"]
    caption = " · ".join([*words, "axes begin where the times begin to differ"])
    with Sheet(title=title, caption=caption, height_in=height_in) as sheet:
        axes = sheet.axes(rows=2, left_in=labels_in, right_in=0.6, sharey=False)
        for panel, (what, taken) in zip(axes, panels, strict=True):
            _panel(panel, what, taken, (a.engine, a.ms or 0.0), (b.engine, b.ms or 0.0))
        axes[-1].set_xlabel("milliseconds a chunk")
        return sheet.finish(f"waterfall-{other}" if len(found.profiled) > 2 else "waterfall")


def steps(groups: Sequence[GroupCost], other: int) -> list[Step]:
    """Return the largest differences, the largest first, and what all others come to together."""
    found = [Step(group.name, group.more_ms[other] or 0.0) for group in groups]
    found.sort(key=lambda step: -abs(step.ms))
    rest = found[STEPS:]
    if len(rest) > 1:
        rest = [Step(f"{len(rest)} others", sum(step.ms for step in rest))]
    return [*found[:STEPS], *rest]


def _panel(
    axes: Axes, title: str, taken: Sequence[Step], begin: tuple[str, float], end: tuple[str, float]
) -> None:
    """Draw one way from the first engine's time to the other's."""
    at, edges = begin[1], [begin[1], end[1]]
    axes.plot([at, at], [-0.34, 1.34], color=INK, linewidth=0.6)
    for line, step in enumerate(taken, start=1):
        axes.barh(
            line, step.ms, left=at, height=0.68, color=RED if step.ms > 0 else BLUE, edgecolor=PAPER
        )
        at += step.ms
        edges.append(at)
        axes.plot([at, at], [line - 0.34, line + 1.34], color=INK, linewidth=0.6)
        axes.annotate(
            f"{step.ms:+.2f}", (max(at, at - step.ms), line), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    low, high = min(edges), max(edges)
    left = 0.0 if low < COMMON * high else low - 0.15 * (high - low) - 0.02 * high
    for line, (_, ms) in ((0, begin), (len(taken) + 1, end)):
        axes.barh(line, ms - left, left=left, height=0.68, color=PALE_GREY, edgecolor=PAPER)
        axes.annotate(
            f"{figures.number(ms)} ms", (ms, line), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9, weight="bold", color=INK,
        )  # fmt: skip
    axes.set_xlim(left, high + 0.12 * (high - left))
    axes.set_yticks(range(len(taken) + 2), [begin[0], *(step.name for step in taken), end[0]])
    axes.set_ylim(len(taken) + 1.6, -0.6)
    axes.grid(False, axis="y")
    axes.set_title(title, fontsize=10, loc="left")


HEIGHT_IN = 2.9
LENGTHS = "lengths"
#: How first visits, coming back and staying are drawn.
LINES = (("first_ms", ":"), ("back_ms", "--"), ("again_ms", "-"))


def lengths(found: LengthReport) -> Picture | None:
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
        return sheet.finish(LENGTHS)


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
