"""Where the time goes: loading, first chunk, front end, inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.report import figures
from rtfbench.report.compare import engine_names, side
from rtfbench.report.palette import BLACK, INK, ORANGE, PALE_GREY, PAPER, PINK, SKY
from rtfbench.report.plots.style import Picture, Sheet, caption, not_drawn
from rtfbench.results import protocols
from rtfbench.results.rows import CellSummary, Summary

MOST_BARS = 32

PARTS = (
    ("load", PALE_GREY, ""),
    ("first chunk", ORANGE, "///"),
    ("front end", PINK, "xx"),
    ("other chunks", SKY, ""),
)


class Bar(NamedTuple):
    """The milliseconds of a row's parts, in the order of `PARTS`."""

    row: CellSummary
    parts_ms: tuple[float, float, float, float]


def draw(summary: Summary) -> Iterator[Picture]:
    """Yield one picture: an average utterance through a fresh session, of each engine and model."""
    rows = _chosen(summary)
    bars = [bar for row in rows if (bar := _bar(summary, row)) is not None]
    left_out = not_drawn(f"{row.title} on {row.engine_label}" for row, _ in bars[MOST_BARS:])
    if bars:
        yield _picture(summary, bars[:MOST_BARS], left_out)


def _chosen(summary: Summary) -> list[CellSummary]:
    """Return the rows of one thread count and chunk size; fresh sessions have all parts."""
    measured = [row for row in summary.cells if row.rtf is not None]
    rows = [row for row in measured if protocols.named(row.protocol).fresh_session] or measured
    if not rows:
        return []
    threads = min(row.threads for row in rows)
    sizes = {row.chunk_samples for row in rows if row.threads == threads}
    size = PUBLISHED_CHUNK_SAMPLES if PUBLISHED_CHUNK_SAMPLES in sizes else min(sizes)
    return [row for row in rows if (row.threads, row.chunk_samples) == (threads, size)]


def _bar(summary: Summary, row: CellSummary) -> Bar | None:
    environment = summary.environment
    known = (row.load_ms, row.first_chunk_ms, row.rtf_frontend, row.rtf_engine)
    if None in known or not environment.audio:
        return None
    load_ms, first_ms, rtf_frontend, rtf_engine = (value or 0.0 for value in known)
    utterance_ms = 1000 * environment.audio_s / len(environment.audio)
    # A steady session's chunks are all warm: one of them gives way to the first.
    fresh = protocols.named(row.protocol).fresh_session
    warm_ms = first_ms if fresh else (row.chunk_ms or 0.0)
    others_ms = max(rtf_engine * utterance_ms - warm_ms, 0.0)
    return Bar(row, (load_ms, first_ms, rtf_frontend * utterance_ms, others_ms))


def _picture(summary: Summary, bars: Sequence[Bar], left_out: str) -> Picture:
    rows = [bar.row for bar in bars]
    named = engine_names(rows)
    several = len({row.title for row in rows}) > 1
    labels = [f"{row.title}, " * several + named[side(row)] for row in rows]
    environment = summary.environment
    mean_s = environment.audio_s / len(environment.audio)
    text = caption(
        summary,
        rows,
        f"{rows[0].protocol}, {figures.chunk(rows[0].chunk_samples)}",
        f"an utterance of {mean_s:.1f} s through a fresh session; the RTF's clock leaves the "
        "load out",
        left_out,
    )
    height_in = 0.7 + 0.42 * len(bars)
    with Sheet(title=_finding(bars, labels), caption=text, height_in=height_in) as sheet:
        (axes,) = sheet.axes(left_in=0.4 + 0.078 * max(map(len, labels)), right_in=0.75)
        longest_ms = max(sum(bar.parts_ms) for bar in bars)
        for line, bar in enumerate(bars):
            began_ms = 0.0
            for (part, color, hatch), took_ms in zip(PARTS, bar.parts_ms, strict=True):
                axes.barh(
                    line, took_ms, left=began_ms, height=0.62, color=color, edgecolor=PAPER,
                    hatch=hatch, linewidth=0.6, label=part if line == 0 else None,
                )  # fmt: skip
                if took_ms > 0.075 * longest_ms:
                    axes.text(
                        began_ms + took_ms / 2, line, figures.number(took_ms), ha="center",
                        va="center", fontsize=8.5, color=BLACK,
                        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.2},
                    )  # fmt: skip
                began_ms += took_ms
            axes.text(
                began_ms + 0.01 * longest_ms, line, f"{figures.number(began_ms)} ms",
                va="center", fontsize=9, weight="bold", color=INK,
            )  # fmt: skip
        axes.set_yticks(range(len(bars)), labels)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.grid(False, axis="y")
        axes.set_xlabel("milliseconds")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False, fontsize=9,
            borderaxespad=0.1, columnspacing=1.4,
        )  # fmt: skip
        return sheet.finish("where-the-time-goes")


def _finding(bars: Sequence[Bar], labels: Sequence[str]) -> str:
    """Name the largest share that is not plain inference."""
    share, label, part = max(
        (part_ms / sum(bar.parts_ms), label, name)
        for bar, label in zip(bars, labels, strict=True)
        for (name, *_), part_ms in zip(PARTS[:2], bar.parts_ms[:2], strict=True)
    )
    return (
        f"From nothing to the embedding: {figures.percent(share)} of {label}'s time is its {part}"
    )
