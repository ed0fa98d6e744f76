"""What a column is, the views that it may stand in, and its place there."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from bench.report import figures
from bench.report.compare import EngineForm, PairedRatio, engine_names, to_reference
from bench.report.footnotes import Footnotes
from bench.results.rows import CellSummary, Summary

#: The tables of the markdown, those of a wide and of a narrow terminal, and the page's.
View = Literal[
    "published",
    "precision",
    "accuracy",
    "latency",
    "parts",
    "machine",
    "verification",
    "wide",
    "narrow",
    "page",
]
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

    @cached_property
    def short_names(self) -> dict[EngineForm, str]:
        """Engines, with their form where there are both."""
        return engine_names(self.rows)

    @property
    def reference(self) -> str:
        """The engine that all ratios are to, without settings; `reference` if there are several."""
        names = {ratio.reference.partition("[")[0] for ratio in self.summary.ratios}
        return names.pop() if len(names) == 1 else "reference"

    def to_reference(self, row: CellSummary) -> PairedRatio | None:
        """Return a row's ratio to the reference engine."""
        return to_reference(self.summary, row)


#: The tables of a section of the markdown, one below the other.
MARKDOWN: tuple[View, ...] = ("published", "precision", "accuracy", "latency", "parts", "machine")
#: What leaves such a table first where it would have more columns; the page keeps everything.
GIVE_WAY = ("df", "efficiency", "library", "sessions", "utterances", "speedup", "copies")


def _always(_: Context) -> bool:
    return True


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
    present: Callable[[Context], bool] = _always
    behind: Mapping[View, str] = field(default_factory=dict)

    def heading_in(self, view: View, reference: str = "reference") -> str:
        """Return what stands above the column in a view."""
        return self.headings.get(view, self.heading).format(reference=reference)


@dataclass(frozen=True)
class Placed:
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


def place(columns: Iterable[Column], context: Context) -> list[Placed]:
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
    return [Placed(each, context) for each in found]


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
