"""A result as tables for a terminal; elsewhere as markdown, which reads as plain text."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bench.records import CellSummary, Summary
from bench.report import figures, markdown
from bench.report.tables import (
    Column,
    Footnotes,
    Section,
    max_rel_err,
    published_columns,
    reasons,
    sections,
)

#: From this width on, a table has all of its columns.
WIDE = 110
UNLIMITED = 240


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
    """Print every section; the fastest row is bold, a row that is not ok is red."""
    if not console.is_terminal:
        console.file.write(markdown.render(summary))
        return
    for section in sections(summary):
        console.print(Text(section.title, style="bold"))
        console.print(_table(section, wide=console.width >= WIDE))
        for line in [section.conditions, *Footnotes(section.rows).lines()]:
            console.print(Text(line, style="dim"))
        for reason in reasons(section.rows):
            console.print(Text(reason, style="red"))
        console.print()
    for part in markdown.verification(summary):
        console.print(Text(part))


def _table(section: Section, *, wide: bool) -> Table:
    columns = [
        *published_columns(Footnotes(section.rows)),
        Column("95 %", lambda row: figures.plus_minus(row.rtf_ci95)),
        Column("chunk ms", lambda row: figures.number(row.chunk_ms)),
    ]
    if wide:
        columns += [
            Column("first chunk ms", lambda row: figures.number(row.first_chunk_ms)),
            Column("load ms", lambda row: figures.number(row.load_ms)),
            Column("max rel err", max_rel_err),
        ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column.heading, justify="right" if column.numeric else "left", no_wrap=True
        )
    for row in section.rows:
        style = _style(row, section)
        table.add_row(*(Text(column.text(row), style=style) for column in columns))
    return table


def _style(row: CellSummary, section: Section) -> str:
    if row.status != "ok":
        return "red"
    return "bold green" if row is section.fastest and len(section.rows) > 1 else ""
