"""A document on a terminal; elsewhere as markdown, which reads as plain text."""

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table
from rich.text import Text

from rtfbench.report import document as doc
from rtfbench.report import markdown

#: What is written to no terminal is as wide as a table needs, or as a page where cells wrap.
UNLIMITED, PAGE = 240, 100
#: What stands between two columns, and the least that a column of text is narrowed to.
GAP, NARROWEST = 2, 6
BOUNDLESS = 10_000

STYLES: dict[doc.Style, str] = {
    "": "",
    "strong": "bold",
    "dim": "dim",
    "good": "bold green",
    "warning": "yellow",
    "bad": "red",
}


class Output(Console):
    """Standard output; as wide as a table needs where no terminal sets a width."""

    def __init__(self, width: int = UNLIMITED) -> None:
        super().__init__(width=None if sys.stdout.isatty() else width)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line what to do when the reader has left."""
        raise BrokenPipeError


def waiting(text: str) -> Status:
    """Return a context that shows what is being waited for; silent where there is no terminal."""
    return Console(stderr=True).status(text)


def show(document: doc.Document, console: Console | None = None, *, full: bool = True) -> None:
    """Print a document, by default to standard output; a reader that is no terminal gets markdown.

    Unless it is to be `full`, what only some readers want is left out.
    """
    console = console or Output()
    shown = document if full else document.short()
    if console.is_terminal:
        draw(shown, console)
    else:
        console.file.write(markdown.draw(shown))


def draw(document: doc.Document, console: Console) -> None:
    """Print a document as a terminal shows it."""
    for before, block in zip((None, *document.blocks), document.blocks, strict=False):
        if before is not None and not isinstance(before, doc.Heading):
            console.print()
        _print(block, console)


def _print(block: doc.Block, console: Console) -> None:
    def text(found: doc.Paragraph, *, bullet: str = "") -> Text:
        style = "" if console.no_color else STYLES[found.style]
        lead = f"{found.lead} " if found.lead else ""
        return Text(f"{bullet}{lead}{found.text}", style=style)

    match block:
        case doc.Heading(title):
            console.print(text(doc.Paragraph(title, "strong")))
        case doc.Paragraph():
            console.print(text(block))
        case doc.Bullets(items):
            for item in items:
                console.print(text(item, bullet="• "))
        case doc.Table():
            console.print(_grid(block, console))
        case doc.More(_, blocks):
            draw(doc.Document(blocks), console)
        case doc.Image(title, path):
            console.print(text(doc.Paragraph(f"{title}: {path}", "dim")), soft_wrap=True)
        case doc.Code(lines):
            # Whole lines: what is copied from a terminal has no line breaks of its own.
            console.print(Text(lines.strip()), soft_wrap=True)


def _grid(found: doc.Table, console: Console) -> Table:
    """Return a table with as many columns as have room: those that may give way go first."""
    left: set[int] = set()
    for group in ((), *found.give_way):
        left |= set(group)
        kept = [
            index
            for index in range(len(found.headings))
            if index not in left and any(row[index] for row in found.rows)
        ]
        table = _drawn(found, kept, plain=console.no_color)
        boundless = console.options.update(width=BOUNDLESS)
        if Measurement.get(console, boundless, table).maximum <= console.width:
            return table
    widths = _narrowed(found, kept, console.width - GAP * (len(kept) - 1))
    return _drawn(found, kept, plain=console.no_color, widths=widths)


def _narrowed(found: doc.Table, kept: Sequence[int], room: int) -> list[int]:
    """Return how wide columns are where they have only so much room.

    Neither figures nor words of headings break. The widest column of text gives way first.
    """
    widths = [
        max(map(len, [*found.headings[index].split(), *(row[index] for row in found.rows)]))
        for index in kept
    ]
    texts = [at for at, index in enumerate(kept) if not found.numeric[index]]
    while sum(widths) > room and texts:
        widest = max(texts, key=lambda at: widths[at])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _drawn(
    found: doc.Table, kept: Sequence[int], *, plain: bool, widths: Sequence[int] | None = None
) -> Table:
    """Draw the columns that are kept, each as wide as its longest line or as `widths` say."""
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="" if plain else None,
    )
    for at, index in enumerate(kept):
        table.add_column(
            found.headings[index],
            justify="right" if found.numeric[index] else "left",
            overflow="fold",
            no_wrap=widths is None,
            width=None if widths is None else widths[at],
        )
    for row, style in found.styled():
        table.add_row(*(Text(row[index]) for index in kept), style="" if plain else STYLES[style])
    return table
