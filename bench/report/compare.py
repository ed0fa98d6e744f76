"""Who is faster, and how surely: rows compared by the ratios that were measured in turns.

Rows that tie lead together; a finding is one sentence about a result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import Interval
from rtfbench.engines.protocol import Form
from rtfbench.report import figures
from rtfbench.results.cells import Condition
from rtfbench.results.rows import CellSummary, EngineForm, Ratio, Summary, excludes_one

LUCK_TEXT = "one process each, and a new one may differ by 2 %"


def side(row: CellSummary) -> EngineForm:
    """Return what a row measured under its condition."""
    return EngineForm(row.engine_label, row.form)


def conditions(summary: Summary) -> list[Condition]:
    """Return every condition, in the order in which the run met them."""
    return list(dict.fromkeys(row.condition for row in summary.cells))


def rows_of(summary: Summary, wanted: Condition) -> list[CellSummary]:
    """Return the rows of a condition that have an RTF."""
    return [row for row in summary.cells if row.condition == wanted and row.rtf is not None]


def setting(where: Condition) -> str:
    """Say under which protocol and setting something was measured."""
    return f"{where.protocol}, {figures.setting(*where.setting)}"


def versions(rows: Iterable[CellSummary]) -> list[str]:
    """Return the engines of rows with the versions that they had."""
    return list(dict.fromkeys(f"{row.engine} {row.version}" for row in rows if row.version))


def paired_ratio(
    summary: Summary, where: Condition, left: EngineForm, right: EngineForm
) -> Ratio | None:
    """Return the comparison of two rows, None where no ratio was measured.

    Two ratios to one reference give the ratio of their engines.
    """
    found = comparisons(summary, where)
    for each in found:
        if (each.left, each.right) == (left, right):
            return each
        if (each.right, each.left) == (left, right):
            return each.inverted()
    for first, second in product(found, found):
        if (first.left, second.left) == (left, right) and first.right == second.right:
            return first.over(second)
    return None


def comparisons(summary: Summary, where: Condition) -> list[Ratio]:
    """Return every comparison under a condition once, as it was measured."""
    return [each for each in summary.ratios if each.condition == where]


def to_reference(summary: Summary, row: CellSummary) -> Ratio | None:
    """Return a row's own ratio to the reference engine under its condition."""
    found = comparisons(summary, row.condition)
    return next((each for each in found if each.left == side(row)), None)


def surely_faster(summary: Summary, row: CellSummary, other: CellSummary) -> bool:
    """Say whether a row is surely faster than another, which may be of another condition.

    Where both took turns their paired ratio tells, elsewhere the intervals of their RTF.
    """
    if row.condition == other.condition:
        found = paired_ratio(summary, row.condition, side(row), side(other))
        if found is not None:
            return found.ratio < 1 and found.surely_differs
    return (
        row.rtf_ci95 is not None
        and other.rtf_ci95 is not None
        and row.rtf_ci95[1] < other.rtf_ci95[0]
    )


def has_intervals(summary: Summary, where: Condition) -> bool:
    """Say whether ratios with intervals were measured under a condition."""
    return any(each.ci95 is not None for each in comparisons(summary, where))


def engine_names(rows: Sequence[CellSummary]) -> dict[EngineForm, str]:
    """Name every row's side; the form is named where an engine was measured in both."""
    forms: dict[str, set[Form]] = {}
    for row in rows:
        forms.setdefault(row.engine_label, set()).add(row.form)
    return {
        each: f"{each.engine} {each.form}" if len(forms[each.engine]) > 1 else each.engine
        for each in map(side, rows)
    }


def times(ratio: float, ci95: Interval | None) -> str:
    """Write a ratio with its interval, as tables do: 2.60× (2.50 to 2.70)."""
    return f"{figures.times(ratio)} ({ends(ci95)})"


def ends(ci95: Interval | None) -> str:
    """Write an interval: 2.50 to 2.70."""
    if ci95 is None:
        return "no interval"
    return " to ".join(figures.factors(*ci95))


def sentence(comparison: Ratio, named: Mapping[EngineForm, str]) -> str:
    """Say which takes longer, with figure and interval; a tie within the interval is called one."""
    if comparison.differs:
        comparison = comparison.slower_first()
    left, right = named[comparison.left], named[comparison.right]
    factor, interval = figures.factor(comparison.ratio), ends(comparison.ci95)
    text = f"{left} takes {factor} times as long as {right} ({interval})"
    if comparison.differs or comparison.ci95 is None:
        return text
    text = f"{left} and {right} cannot be told apart: {factor} times as long ({interval})"
    return text + f", {LUCK_TEXT}" * (excludes_one(comparison.ci95) and comparison.within_luck)


@dataclass(frozen=True)
class Lead:
    """The fastest row and those that cannot be told from it, and all others against them.

    `behind` are how many times as long the others take, each against each of the group. Without
    others, everything ties. The same engine in its other form is no rival.
    """

    group: tuple[EngineForm, ...]
    behind: tuple[Ratio, ...]

    @property
    def by(self) -> tuple[float, float]:
        """How many times as long the others take, from the least to the most."""
        ratios = [each.ratio for each in self.behind]
        return min(ratios), max(ratios)


def lead(summary: Summary, where: Condition) -> Lead | None:
    """Return what is ahead, None where no group is ahead of all others or intervals are missing."""
    rows = sorted(rows_of(summary, where), key=lambda row: row.rtf or 0.0)
    sides = [side(row) for row in rows]
    if len({each.engine for each in sides}) < 2:
        return None
    best = sides[0]
    against = {each: paired_ratio(summary, where, each, best) for each in sides[1:]}
    if any(found is None or found.ci95 is None for found in against.values()):
        return None
    group = [best, *(each for each, found in against.items() if found and not found.differs)]
    engines = {each.engine for each in group}
    behind = []
    for each in sides:
        for member in group if each not in group and each.engine not in engines else ():
            found = paired_ratio(summary, where, each, member)
            if found is None or not found.differs or found.ratio <= 1:
                return None
            behind.append(found)
    return Lead(tuple(group), tuple(behind))


def group_name(found: Lead, named: Mapping[EngineForm, str]) -> str:
    """Name the rows that lead together, in the order in which all are named."""
    return listed([name for each, name in named.items() if each in found.group])


def told(found: Lead, named: Mapping[EngineForm, str]) -> str:
    """Say which engine leads and by how much, or that none does."""
    if not found.behind:
        return "no engine can be told from the others"
    names = group_name(found, named)
    verb = "is" if len(found.group) == 1 else "are"
    return f"{names} {verb} {span(found.by)} times as fast as {behind_name([found], named)}"


def behind_name(found: Sequence[Lead], named: Mapping[EngineForm, str]) -> str:
    """Name whom the leaders of some conditions are ahead of: the one, or all of them."""
    others = list(dict.fromkeys(named[each.left] for lead in found for each in lead.behind))
    return others[0] if len(others) == 1 else "the others"


def span(ends: tuple[float, float]) -> str:
    """Write the range of a factor; one figure where both ends are written alike."""
    low, high = figures.factors(*ends)
    return low if low == high else f"{low} to {high}"


def listed(names: list[str]) -> str:
    """Write names as a list in words."""
    names = list(dict.fromkeys(names))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


Kind = Literal[
    "warning", "defect", "coverage", "protocol", "precision", "engine", "best", "threads", "jobs",
    "batch", "ceiling", "padding",
]  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A sentence with its figure and interval, and what it is about."""

    kind: Kind
    text: str


def stated_first(sizes: Sequence[int]) -> list[int]:
    """Return chunk sizes in the order in which they are told of: that of the published tables."""
    return sorted(sizes, key=lambda size: (size != PUBLISHED_CHUNK_SAMPLES, size))
