"""What a column is, the views that it may stand in, and its place there; notes to the rows."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from rtfbench.report import figures
from rtfbench.report.compare import side
from rtfbench.results.rows import CellSummary, Summary

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """Numbers notes in the order in which the rows of a result first need them."""

    def __init__(self, rows: Sequence[CellSummary]) -> None:
        self._notes = list(dict.fromkeys(row.note for row in rows if row.note))
        self._told: set[str] = set()

    def mark(self, row: CellSummary) -> str:
        """Return a row's superscript mark, empty when it has no note."""
        return f" {self._number(row.note)}" if row.note else ""

    def lines(self, rows: Sequence[CellSummary]) -> list[str]:
        """Return the notes of rows that no rows before had, each behind its mark."""
        needed = dict.fromkeys(row.note for row in rows if row.note)
        new = [note for note in needed if note not in self._told]
        self._told.update(new)
        return [f"{self._number(note)} {note}" for note in new]

    def _number(self, note: str) -> str:
        return str(self._notes.index(note) + 1).translate(_SUPERSCRIPTS)


#: The table of the run, the published document's, those of the rest, and the page's.
View = Literal[
    "run", "published", "precision", "accuracy", "latency", "parts", "machine", "verification",
    "page",
]  # fmt: skip
#: A table of the markdown has so many columns at most: wider ones are scrolled on the web.
MOST_COLUMNS = 9
VIEWS: tuple[View, ...] = get_args(View)
Raw = str | int | float | None


@dataclass(frozen=True)
class Context:
    """Where a figure stands: in which result, among which rows, in which view."""

    summary: Summary
    rows: tuple[CellSummary, ...]
    view: View

    @cached_property
    def footnotes(self) -> Footnotes:
        """The notes to the result's rows."""
        return Footnotes(self.summary.cells)

    @property
    def reference(self) -> str:
        """The engine that all ratios are to, without settings; `reference` if there are several."""
        names = {ratio.reference.partition("[")[0] for ratio in self.summary.ratios}
        return names.pop() if len(names) == 1 else "reference"

    def is_reference(self, row: CellSummary) -> bool:
        """Say whether a row is what others of its condition are compared with."""
        own = (row.condition, side(row))
        return own in {(each.condition, each.right) for each in self.summary.ratios}


#: The tables of a section of the rest, one below the other.
MARKDOWN: tuple[View, ...] = ("precision", "accuracy", "latency", "parts", "machine")
#: What leaves such a table first where it would have more columns; the page keeps everything.
GIVE_WAY = (
    *("df", "efficiency", "library", "sessions", "utterances", "speedup", "copies", "kept_up"),
    *("lateness", "goodput_per_s", "known_share", "latency_ms_p90", "rejected_share", "load"),
)


@dataclass(frozen=True)
class Column:
    """A figure of every row.

    Attributes:
        key: its name on the page and in `behind`.
        heading: what stands above it, unless `headings` has another for the view; `{reference}`
            is the engine that ratios are to.
        unit: empty for a text, a count or a ratio.
        meaning: what it is; `reports/README.md` has the same words.
        views: where it is shown.
        value: what it is sorted by; None where it was not measured.
        write: how a value that was measured is written.
        text: what is shown, where that does not follow from the value alone.
        left: the views in which it begins at the left, as texts do.
        filtered: whether the page offers to choose among its texts.
        present: whether a table has it at all.
        behind: in a view, the key of the column that it follows; elsewhere the list's order holds.
    """

    key: str
    heading: str
    meaning: str
    views: tuple[View, ...]
    value: Callable[[CellSummary, Context], Raw]
    unit: str = ""
    write: Callable[[Any], str] = str
    text: Callable[[CellSummary, Context], str] | None = None
    headings: Mapping[View, str] = field(default_factory=dict)
    left: Collection[View] = ()
    filtered: bool = False
    present: Callable[[Context], bool] = lambda _: True
    behind: Mapping[View, str] = field(default_factory=dict)

    def heading_in(self, view: View, reference: str = "reference") -> str:
        """Return what stands above the column in a view."""
        return self.headings.get(view, self.heading).format(reference=reference)


@dataclass(frozen=True)
class PlacedColumn:
    """A column in its view."""

    column: Column
    context: Context

    @property
    def key(self) -> str:
        """The column's name."""
        return self.column.key

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.column.heading_in(self.context.view, self.context.reference)

    @property
    def numeric(self) -> bool:
        """Whether it ends at the right."""
        return self.context.view not in self.column.left

    @property
    def filtered(self) -> bool:
        """Whether the page offers to choose among its texts."""
        return self.column.filtered

    def text(self, row: CellSummary) -> str:
        """Return what is shown of a row."""
        if self.column.text is not None:
            return self.column.text(row, self.context)
        value = self.column.value(row, self.context)
        return figures.MISSING if value is None else self.column.write(value)

    def sorted_by(self, row: CellSummary) -> str:
        """Return the value by which the page sorts, as exact as it is known."""
        value = self.column.value(row, self.context)
        return "" if value is None else str(value)


def place(columns: Iterable[Column], context: Context) -> list[PlacedColumn]:
    """Return the columns of a view, in their order there."""
    view = context.view
    found = [each for each in columns if view in each.views and each.present(context)]
    for each in [each for each in found if view in each.behind]:
        found.remove(each)
        found.insert([other.key for other in found].index(each.behind[view]) + 1, each)
    if view in MARKDOWN:
        for key in GIVE_WAY:
            if len(found) > MOST_COLUMNS:
                found = [each for each in found if each.key != key]
    return [PlacedColumn(each, context) for each in found]


def explained(columns: Sequence[Column]) -> str:
    """Return a markdown table of what each column means, under all of its headings."""
    lines = []
    for column in columns:
        headings: dict[str, str] = {}
        for view in sorted(column.views, key=lambda view: view in column.headings):
            heading = column.heading_in(view)
            headings.setdefault(heading.casefold(), heading)
        lines.append((", ".join(headings.values()), column.unit, column.meaning))
    return meanings(lines)


def meanings(lines: Iterable[tuple[str, str, str]]) -> str:
    """Return a markdown table of names, units and meanings."""
    rows = [("column", "unit", "meaning"), (":--", ":--", ":--"), *lines]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in rows)
