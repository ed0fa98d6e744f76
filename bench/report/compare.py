"""Who is faster, and how surely: comparisons of rows by the ratios that were measured in turns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.report import figures
from bench.results.cells import Condition
from bench.results.rows import PROVISIONAL_SESSIONS, CellSummary, Ratio, Summary
from engines.protocol import Form

Interval = tuple[float, float]

#: Where memory lies is drawn anew with each process, and makes up to this difference.
LUCK = 1.02
LUCK_TEXT = "one process each, and a new one may differ by 2 %"


@dataclass(frozen=True)
class EngineForm:
    """An engine with its settings, in one model form."""

    engine: str
    form: Form


@dataclass(frozen=True)
class PairedRatio:
    """How many times as long `left` takes as `right`, both of one model under one condition."""

    left: EngineForm
    right: EngineForm
    ratio: float
    ci95: Interval | None
    decided: bool = True
    sessions: int = 1
    df: float | None = None

    @property
    def provisional(self) -> bool:
        """Whether further sessions may well change what the interval says."""
        return self.sessions <= PROVISIONAL_SESSIONS

    @property
    def within_luck(self) -> bool:
        """Whether it is so near a tie that a new process could turn it."""
        return self.sessions == 1 and 1 / LUCK < self.ratio < LUCK

    @property
    def differs(self) -> bool:
        """Whether the interval excludes a tie, and by more than a new process may bring."""
        apart = self.ci95 is not None and not self.ci95[0] <= 1 <= self.ci95[1]
        return apart and not self.within_luck

    def inverted(self) -> "PairedRatio":
        """Return the same comparison with the sides swapped."""
        swapped = None if self.ci95 is None else (1 / self.ci95[1], 1 / self.ci95[0])
        return replace(self, left=self.right, right=self.left, ratio=1 / self.ratio, ci95=swapped)

    def slower_first(self) -> "PairedRatio":
        """Return it so that `left` takes longer."""
        return self if self.ratio >= 1 else self.inverted()


def side(row: CellSummary) -> EngineForm:
    """Return what a row measured under its condition."""
    return EngineForm(row.engine_label, row.form)


def conditions(summary: Summary) -> list[Condition]:
    """Return every condition, in the order in which the run met them."""
    return list(dict.fromkeys(row.condition for row in summary.cells))


def rows_of(summary: Summary, wanted: Condition) -> list[CellSummary]:
    """Return the rows of a condition that have an RTF."""
    return [row for row in summary.cells if row.condition == wanted and row.rtf is not None]


def paired_ratio(
    summary: Summary, where: Condition, left: EngineForm, right: EngineForm
) -> PairedRatio | None:
    """Return the comparison of two rows, None where no ratio was measured.

    Two ratios to one reference give the ratio of their engines. Its interval runs from end to end
    of theirs: for errors that are normal on the log scale it covers at least as often as the two,
    however they depend on one another, since a difference spreads no wider than the sum of both.
    """
    to_reference = [each for each in summary.ratios if each.condition == where]
    for each in map(_measured, to_reference):
        for candidate in (each, each.inverted()):
            if (candidate.left, candidate.right) == (left, right):
                return candidate
    for first in map(_measured, to_reference):
        for second in map(_measured, to_reference):
            if (first.left, second.left) == (left, right) and first.right == second.right:
                return _divide(first, second)
    return None


def comparisons(summary: Summary, where: Condition) -> Iterator[PairedRatio]:
    """Yield every comparison under a condition once, as it was measured."""
    yield from (_measured(each) for each in summary.ratios if each.condition == where)


def to_reference(summary: Summary, row: CellSummary) -> PairedRatio | None:
    """Return a row's own ratio to the reference engine under its condition."""
    for each in comparisons(summary, row.condition):
        if each.left == side(row):
            return each
    return None


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


def as_long(ratio: float, ci95: Interval | None) -> str:
    """Write a ratio with its interval: 2.60 times as long (2.50 to 2.70)."""
    return f"{figures.factor(ratio)} times as long ({ends(ci95)})"


def ends(ci95: Interval | None) -> str:
    """Write an interval: 2.50 to 2.70."""
    if ci95 is None:
        return "no interval"
    return f"{figures.factor(ci95[0])} to {figures.factor(ci95[1])}"


def sentence(comparison: PairedRatio, named: Mapping[EngineForm, str]) -> str:
    """Say which takes longer, with figure and interval; a tie within the interval is called one."""
    if comparison.differs:
        comparison = comparison.slower_first()
    left, right = named[comparison.left], named[comparison.right]
    factor, interval = figures.factor(comparison.ratio), ends(comparison.ci95)
    text = f"{left} takes {factor} times as long as {right} ({interval})"
    if comparison.differs or comparison.ci95 is None:
        return text
    text = f"{left} and {right} cannot be told apart: {factor} times as long ({interval})"
    apart = not comparison.ci95[0] <= 1 <= comparison.ci95[1]
    return text + f", {LUCK_TEXT}" * (apart and comparison.within_luck)


def _measured(ratio: Ratio) -> PairedRatio:
    left = EngineForm(ratio.engine, ratio.form)
    right = EngineForm(ratio.reference, ratio.reference_form)
    return PairedRatio(
        left, right, ratio.ratio, ratio.ci95, ratio.decided, ratio.sessions, ratio.df
    )


def _divide(left: PairedRatio, right: PairedRatio) -> PairedRatio:
    """Return left against right, both measured against one reference."""
    ci95 = None
    if left.ci95 and right.ci95:
        ci95 = (left.ci95[0] / right.ci95[1], left.ci95[1] / right.ci95[0])
    decided = left.decided and right.decided
    sessions = min(left.sessions, right.sessions)
    df = None if left.df is None or right.df is None else min(left.df, right.df)
    ratio = left.ratio / right.ratio
    return PairedRatio(left.left, right.left, ratio, ci95, decided, sessions, df)
