"""What fewer bits bring and cost: how much faster, at which loss of EER."""

from collections.abc import Iterator, Sequence

from bench.report import figures
from bench.report.compare import PairedRatio, conditions, ends, paired_ratio, rows_of, side
from bench.report.finding import Finding
from bench.results.cells import Condition
from bench.results.rows import CellSummary, Summary
from engines.protocol import CAVEAT, FLOAT32

POINTS = 100
NOT_TOLD = "what it costs in accuracy was not measured (--trials heldout)"


def precision_findings(summary: Summary) -> Iterator[Finding]:
    """Name the fastest row that loses nothing that trials can tell, and what went the wrong way."""
    for where in conditions(summary):
        rows = rows_of(summary, where)
        exact = [row for row in rows if row.precision == FLOAT32]
        others = [row for row in rows if row.precision != FLOAT32]
        refused = list(_not_here(summary, where))
        if not exact or not (others or refused):
            continue
        compared = _fastest(summary, where, exact, others) if others else ()
        texts = [*compared, *_slower(summary, where, rows), *_caveats(others), *refused]
        if texts:
            place = f"{rows[0].title}, {where.protocol}"
            setting = figures.setting(*where.setting)
            yield Finding("precision", f"{place}, {setting}: {'; '.join(texts)}.")


def _fastest(
    summary: Summary,
    where: Condition,
    exact: Sequence[CellSummary],
    others: Sequence[CellSummary],
) -> Iterator[str]:
    """Say which row in fewer bits is fastest of those whose EER is not surely worse."""
    scored = [row for row in others if row.eer_loss is not None]
    fit = not_surely_worse(scored)
    candidates = fit if scored else list(others)
    if not candidates:
        yield "every row in fewer bits has a surely higher EER than float32"
        return
    best, against = fastest(candidates), fastest(exact)
    found = gain(summary, where, best, against)
    if found is None:
        yield f"no row in fewer bits is surely faster than {against.engine_label} in float32"
        return
    price = loss(best) if best.eer_loss else f"cosine {_cosine(best)}, {NOT_TOLD}"
    which = "the fastest row whose EER is not surely worse" if scored else "the fastest row"
    yield (
        f"{which} is {best.engine_label}, {figures.factor(found.ratio)} times as fast as the "
        f"fastest in float32, {against.engine_label} ({ends(found.ci95)}){_hint(found)}; {price}"
    )


def fastest(rows: Sequence[CellSummary]) -> CellSummary:
    """Return the row with the smallest RTF."""
    return min(rows, key=lambda row: row.rtf or 0.0)


def gain(
    summary: Summary, where: Condition, best: CellSummary, against: CellSummary
) -> PairedRatio | None:
    """Return how many times as fast as another a row is, None where it is not surely faster."""
    found = paired_ratio(summary, where, side(against), side(best))
    return found if found is not None and found.differs and found.ratio > 1 else None


def not_surely_worse(rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the rows whose loss of EER is known, and whose interval does not exclude none."""
    return [row for row in rows if row.eer_loss is not None and row.eer_loss[1] <= 0]


def _hint(found: PairedRatio) -> str:
    return ", provisional" if found.provisional else ""


def _slower(summary: Summary, where: Condition, rows: Sequence[CellSummary]) -> Iterator[str]:
    """Name the rows in fewer bits that take longer than the same engine in float32."""
    for row in rows:
        own = next(
            (
                other
                for other in rows
                if other.precision == FLOAT32
                and (other.engine, other.settings, other.form)
                == (row.engine, row.settings, row.form)
            ),
            None,
        )
        if own is None or row.precision == FLOAT32:
            continue
        found = paired_ratio(summary, where, side(row), side(own))
        if found is not None and found.differs and found.ratio > 1:
            yield (
                f"{row.engine_label} takes {figures.factor(found.ratio)} times as long as "
                f"{own.engine_label} in float32 ({ends(found.ci95)})"
            )


def _caveats(rows: Sequence[CellSummary]) -> Iterator[str]:
    """Say what this CPU does to rows in fewer bits."""
    for row in rows:
        if CAVEAT in row.effective:
            yield f"{row.engine_label}: {row.effective[CAVEAT]}"


def _not_here(summary: Summary, where: Condition) -> Iterator[str]:
    """Name the rows in fewer bits that this host could not run."""
    for row in summary.cells:
        if row.condition == where and row.precision != FLOAT32 and row.status == "unsupported":
            yield f"not run here: {row.engine_label} ({row.reason})"


def loss(row: CellSummary) -> str:
    """Say what a row loses: EER +0.07 points (-0.07 to +0.15)."""
    if row.eer_loss is None:
        return ""
    points, low, high = (POINTS * value for value in row.eer_loss)
    return f"EER {points:+.2f} points against float32 ({low:+.2f} to {high:+.2f})"


def _cosine(row: CellSummary) -> str:
    return figures.MISSING if row.parity is None else f"{row.parity.cosine:.4f}"
