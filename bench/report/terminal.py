"""A result as tables for a terminal; elsewhere as markdown, which reads as plain text."""

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bench.report import libraries, markdown
from bench.report.columns import columns
from bench.report.findings import findings
from bench.report.footnotes import Footnotes
from bench.report.tables import Section, reasons, sections
from bench.report.views import Placed, View
from bench.results.rows import CellSummary, Summary

UNLIMITED = 240
BOUNDLESS = 10_000

#: Views that are tried, and the columns that give way one after another where a screen is narrow.
WIDE_FIRST: tuple[View, ...] = ("wide", "narrow")
NAMES = {"model", "engine"}
GIVE_WAY = ("params", "flops", "load", "first", "error", "form", "chunk_ms", "ci", "ratio")
FINDING_STYLES = {"warning": "yellow", "defect": "red", "best": "bold green"}


class Output(Console):
    """Standard output; as wide as a table needs where no terminal sets a width."""

    def __init__(self) -> None:
        super().__init__(width=None if sys.stdout.isatty() else UNLIMITED)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line what to do when the reader has left."""
        raise BrokenPipeError


def waiting(text: str) -> Status:
    """Return a context that shows what is being waited for; silent where there is no terminal."""
    return Console(stderr=True).status(text)


def show(summary: Summary, console: Console) -> None:
    """Print every section, then the findings; the fastest row is bold, one that is not ok red."""
    if not console.is_terminal:
        console.file.write(markdown.render(summary))
        return
    summary = libraries.named(summary)
    footnotes = Footnotes(summary.cells)

    def styles(name: str) -> str:
        """Return a style, none where NO_COLOR asks for plain text: bold would be one too."""
        return "" if console.no_color else name

    for section in sections(summary):
        console.print(Text(section.title, style=styles("bold")))
        console.print(_table(section, summary, console))
        for line in [section.conditions, *footnotes.lines(section.rows)]:
            console.print(Text(line, style=styles("dim")))
        for reason in reasons(section.rows):
            console.print(Text(reason, style=styles("red")))
        console.print()
    for part in markdown.verification(summary):
        console.print(Text(part))
    if summary.noise is not None:
        style = "yellow" if summary.noise.contaminated else "dim"
        console.print(Text(f"Noise: {summary.noise.sentence}", style=styles(style)))
    for finding in findings(summary):
        console.print(Text(f"• {finding.text}", style=styles(FINDING_STYLES.get(finding.kind, ""))))


def _table(section: Section, summary: Summary, console: Console) -> Table:
    """Return a section's table: as many columns as have room, model and engine whole.

    Only where names leave no room for a single figure do they break.
    """
    for view in WIDE_FIRST:
        placed = columns(view, summary, section.rows)
        for given_up in ("", *GIVE_WAY):
            placed = [column for column in placed if column.key != given_up]
            table = _drawn(placed, section, plain=console.no_color)
            if _natural_width(table, console) <= console.width:
                return table
    kept = [column for column in columns("narrow", summary, section.rows) if column.key != "ci"]
    return _drawn(kept, section, plain=console.no_color, break_names=True)


def _drawn(
    placed: Sequence[Placed], section: Section, *, plain: bool, break_names: bool = False
) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="" if plain else None)
    for column in placed:
        breaks = break_names and column.key in NAMES
        table.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=not breaks,
            overflow="fold" if breaks else "ellipsis",
            min_width=None if breaks else max(len(column.text(row)) for row in section.rows),
        )
    for row in section.rows:
        style = "" if plain else _style(row, section)
        table.add_row(*(Text(column.text(row), style=style) for column in placed))
    return table


def _natural_width(table: Table, console: Console) -> int:
    """Return how wide a table is where nothing limits it."""
    return Measurement.get(console, console.options.update(width=BOUNDLESS), table).maximum


def _style(row: CellSummary, section: Section) -> str:
    if row.status != "ok":
        return "red"
    return "bold green" if section.is_fastest(row) else ""
