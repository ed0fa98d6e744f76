"""What a report says, before it is known where it is read (pure).

A command makes one document; `markdown`, `terminal` and `html` draw it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

#: How a text stands out where its reader has colours; on plain paper only `strong` does.
Style = Literal["", "strong", "dim", "good", "warning", "bad"]


@dataclass(frozen=True)
class Heading:
    """A title of a level: 1 is the document's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A few sentences; `lead` are words that stand out before them."""

    text: str
    style: Style = ""
    lead: str = ""


@dataclass(frozen=True)
class Bullets:
    """Sentences that stand one below the other."""

    items: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Table:
    """Texts in columns, a heading above each; numeric ones end at the right.

    `styles` are those of the rows, none where empty. A cell of the text `strong` stands out.
    `give_way` are columns that leave a screen that is too narrow, group by group.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    styles: tuple[Style, ...] = ()
    strong: str = ""
    give_way: tuple[tuple[int, ...], ...] = ()

    def styled(self) -> Iterator[tuple[tuple[str, ...], Style]]:
        """Yield every row with its style."""
        yield from zip(self.rows, self.styles or [""] * len(self.rows), strict=True)


@dataclass(frozen=True)
class Image:
    """A picture that is stored at a path."""

    title: str
    path: str


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str
    language: str


@dataclass(frozen=True)
class More:
    """What only some readers want: folded where it can be, and shown where it is asked for."""

    title: str
    blocks: tuple["Block", ...]


Block = Heading | Paragraph | Bullets | Table | Image | Code | More


@dataclass(frozen=True)
class Document:
    """Blocks in the order in which they are read."""

    blocks: tuple[Block, ...]

    def short(self) -> "Document":
        """Return it without what only some readers want."""
        return Document(tuple(each for each in self.blocks if not isinstance(each, More)))


def document(*blocks: Block | str | Iterable[Block] | None) -> Document:
    """Return a document of blocks and runs of them; a text is a paragraph, and None is nothing."""
    found: list[Block] = []
    for each in blocks:
        if isinstance(each, str):
            found += [Paragraph(each)] if each else []
        elif isinstance(each, Iterable):
            found += each
        elif each is not None:
            found.append(each)
    return Document(tuple(found))


def bullets(lines: Iterable[str], style: Style = "") -> list[Bullets]:
    """Return sentences as a list's block, nothing where there are none."""
    items = tuple(Paragraph(line, style) for line in lines)
    return [Bullets(items)] if items else []


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    numeric: Sequence[bool] | str,
    give_way: Iterable[Collection[str]] = (),
) -> Table:
    """Return a table.

    Args:
        headings: those of the columns.
        rows: a text for each column.
        numeric: which columns end at the right, or an `l` or `r` for each.
        give_way: names of columns that leave a narrow screen, group by group.
    """
    right = [each == "r" for each in numeric] if isinstance(numeric, str) else numeric
    return Table(
        tuple(headings),
        tuple(map(tuple, rows)),
        tuple(right),
        give_way=places(headings, give_way),
    )


def places(names: Sequence[str], groups: Iterable[Collection[str]]) -> tuple[tuple[int, ...], ...]:
    """Return where the columns of each group stand, of those that a table has."""
    return tuple(tuple(at for at, name in enumerate(names) if name in group) for group in groups)
