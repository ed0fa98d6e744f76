"""What fewer bits bring and cost: how much faster, at which loss of EER.

That a loss was not shown is no proof that there is none: a row keeps its accuracy where the whole
interval lies within what is allowed.
"""

from collections.abc import Iterator, Sequence

from rtfbench.embed.intervals import LEAST_SPEAKERS, Loss, unresolved
from rtfbench.engines.protocol import CAVEAT, FLOAT32, not_computed
from rtfbench.report import figures
from rtfbench.report.compare import Finding, conditions, ends, paired_ratio, rows_of, setting, side
from rtfbench.results.cells import Condition
from rtfbench.results.rows import CellSummary, Ratio, Summary

POINTS = 100
HINT = ", provisional"
NOT_TOLD = "what it costs in accuracy cannot be told without trials (--trials heldout)"


def precision_findings(summary: Summary) -> Iterator[Finding]:
    """Name the fastest row that keeps its accuracy, and what went the wrong way."""
    for where in conditions(summary):
        rows = rows_of(summary, where)
        exact = [row for row in rows if row.precision == FLOAT32]
        others = [row for row in rows if row.precision != FLOAT32]
        refused = list(_not_here(summary, where))
        if not exact or not (others or refused):
            continue
        compared = _fastest(summary, where, exact, others) if others else ()
        told = [row for row in others if CAVEAT in row.effective]
        caveats = [f"{row.engine_label}: {row.effective[CAVEAT]}" for row in told]
        texts = [*compared, *_slower(summary, where, rows), *caveats, *refused]
        if texts:
            place = f"{rows[0].title}, {setting(where)}"
            yield Finding("precision", f"{place}: {'; '.join(texts)}.")


def _fastest(
    summary: Summary, where: Condition, exact: Sequence[CellSummary], others: Sequence[CellSummary]
) -> Iterator[str]:
    """Say which row in fewer bits is fastest, and which of those that keep their accuracy."""
    best, against = fastest(others), fastest(exact)
    found = gain(summary, where, best, against)
    if found is None:
        yield f"no row in fewer bits is surely faster than {against.engine_label} in float32"
        return
    fit = keeping_accuracy(summary, others)
    as_fast = f"times as fast as the fastest in float32, {against.engine_label}"
    yield (
        f"the fastest row in fewer bits is {best.engine_label}, {figures.factor(found.ratio)} "
        f"{as_fast} ({ends(found.ci95)}){HINT * found.provisional}; {price(summary, best)}"
    )
    kept = fastest(fit) if fit else best
    gained = gain(summary, where, kept, against)
    if kept is not best and gained is not None:
        yield (
            f"the fastest that keeps its accuracy is {kept.engine_label}, "
            f"{figures.factor(gained.ratio)} {as_fast} ({ends(gained.ci95)})"
            f"{HINT * gained.provisional}; {price(summary, kept)}"
        )


def price(summary: Summary, row: CellSummary) -> str:
    """Say what a row costs in accuracy, as far as it is known."""
    trials = summary.trials
    if row.eer_loss is None:
        few = trials is not None and trials.speakers < LEAST_SPEAKERS
        why = f"{trials.speakers} speakers are too few for a loss" if few and trials else NOT_TOLD
        cosine = figures.MISSING if row.parity is None else f"{row.parity.cosine:.4f}"
        return f"cosine {cosine}, {why}"
    if trials is None or keeping_accuracy(summary, [row]):
        within = f", within the {trials.max_eer_loss:g} that are allowed" if trials else ""
        return loss(row) + within
    allowed = trials.max_eer_loss / POINTS
    told = unresolved(Loss(*row.eer_loss), allowed=allowed, trials=trials.trials)
    return f"{loss(row)}: {told}"


def fastest(rows: Sequence[CellSummary]) -> CellSummary:
    """Return the row with the smallest RTF."""
    return min(rows, key=lambda row: row.rtf or 0.0)


def gain(
    summary: Summary, where: Condition, best: CellSummary, against: CellSummary
) -> Ratio | None:
    """Return how many times as fast as another a row is, None where it is not surely faster."""
    found = paired_ratio(summary, where, side(against), side(best))
    return found if found is not None and found.differs and found.ratio > 1 else None


def keeping_accuracy(summary: Summary, rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the rows whose loss of EER is surely no more than the run allowed."""
    allowed = summary.trials.max_eer_loss / POINTS if summary.trials else 0.0
    return [row for row in rows if row.eer_loss is not None and row.eer_loss[2] <= allowed]


def _slower(summary: Summary, where: Condition, rows: Sequence[CellSummary]) -> Iterator[str]:
    """Name the rows in fewer bits that take longer than the same engine in float32."""
    exact = {
        (row.engine, frozenset(row.settings.items()), row.form): row
        for row in reversed(rows)
        if row.precision == FLOAT32
    }
    for row in rows:
        own = exact.get((row.engine, frozenset(row.settings.items()), row.form))
        if own is None or row.precision == FLOAT32:
            continue
        found = paired_ratio(summary, where, side(row), side(own))
        if found is not None and found.differs and found.ratio > 1:
            yield (
                f"{row.engine_label} takes {figures.factor(found.ratio)} times as long as "
                f"{own.engine_label} in float32 ({ends(found.ci95)})"
            )


def _not_here(summary: Summary, where: Condition) -> Iterator[str]:
    """Name the rows in fewer bits that this host could not run, and another one may."""
    for row in summary.cells:
        here = row.condition == where and row.status == "unsupported" and row.precision != FLOAT32
        if here and not row.reason.startswith(not_computed(row.engine, row.precision)):
            yield f"not run here: {row.engine_label} ({row.reason})"


def loss(row: CellSummary) -> str:
    """Say what a row loses: EER +0.07 points (-0.07 to +0.15)."""
    if row.eer_loss is None:
        return ""
    points, low, high = (POINTS * value for value in row.eer_loss)
    return f"EER {points:+.2f} points against float32 ({low:+.2f} to {high:+.2f})"
