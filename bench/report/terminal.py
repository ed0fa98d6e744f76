"""A result as tables for a terminal; elsewhere as markdown, which reads as plain text."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bench.report import libraries, markdown
from bench.report.columns import columns
from bench.report.findings import findings
from bench.report.footnotes import Footnotes
from bench.report.tables import Section, reasons, sections
from bench.results.rows import CellSummary, Summary

#: From this width on, a table has all of its columns.
WIDE = 110
UNLIMITED = 240

#: Columns that hold names.
NAMES = {"model", "engine"}
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
    summary = libraries.named(summary)
    if not console.is_terminal:
        console.file.write(markdown.render(summary))
        return
    for section in sections(summary):
        console.print(Text(section.title, style="bold"))
        console.print(_table(section, summary, wide=console.width >= WIDE))
        for line in [section.conditions, *Footnotes(section.rows).lines()]:
            console.print(Text(line, style="dim"))
        for reason in reasons(section.rows):
            console.print(Text(reason, style="red"))
        console.print()
    for part in markdown.verification(summary):
        console.print(Text(part))
    if summary.noise is not None:
        style = "yellow" if summary.noise.contaminated else "dim"
        console.print(Text(f"Noise: {summary.noise.sentence}", style=style))
    for finding in findings(summary):
        console.print(Text(f"• {finding.text}", style=FINDING_STYLES.get(finding.kind, "")))


def _table(section: Section, summary: Summary, *, wide: bool) -> Table:
    placed = columns("wide" if wide else "narrow", summary, section.rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in placed:
        # Names may break on a narrow screen, figures never do.
        whole = column.key not in NAMES
        table.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=whole,
            overflow="ellipsis" if whole else "fold",
            min_width=max(len(column.text(row)) for row in section.rows) if whole else None,
        )
    for row in section.rows:
        style = _style(row, section)
        table.add_row(*(Text(column.text(row), style=style) for column in placed))
    return table


def _style(row: CellSummary, section: Section) -> str:
    if row.status != "ok":
        return "red"
    return "bold green" if section.is_fastest(row) else ""
