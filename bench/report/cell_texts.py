"""Texts and values of columns that take more than one field of a row."""

from bench.report import compare, figures
from bench.report.views import Context, View
from bench.results.rows import CellSummary

TERMINAL: tuple[View, ...] = ("wide", "narrow")
PUBLISHED: tuple[View, ...] = ("published", "wide")


def engine(row: CellSummary, context: Context) -> str:
    """Return the engine; with a mark if it has a footnote, where those stand below."""
    if context.view == "narrow":
        return context.short_names[compare.side(row)] + context.footnotes.mark(row)
    return row.engine_label + context.footnotes.mark(row) * (context.view in PUBLISHED)


def rtf(row: CellSummary, _: Context) -> str:
    """Return the RTF, or in its place how the cell ended."""
    return figures.rtf(row.rtf) if row.status == "ok" else row.status.replace("_", " ")


def ratio(row: CellSummary, context: Context) -> str:
    """Return the ratio with its interval; with half of its width where room is short."""
    found = context.to_reference(row)
    if found is None:
        return figures.MISSING
    mark = " provisional" if found.provisional else ""
    if context.view == "page":
        return compare.times(found.ratio, found.ci95) + mark
    if context.view == "precision":
        return figures.ratio(found.ratio, found.ci95) + mark
    return f"{figures.times(found.ratio)} {figures.plus_minus(found.ci95)}"


def any_queue(context: Context) -> bool:
    """Say whether any row is of the throughput protocol."""
    return any(row.protocol == "throughput" for row in context.rows)


def any_batch(context: Context) -> bool:
    """Say whether any row ran chunks together."""
    return any(row.batch > 1 for row in context.rows)


def freedom(row: CellSummary, context: Context) -> float | None:
    """Return the degrees of freedom behind the ratio's interval."""
    found = context.to_reference(row)
    return found.df if found else None


def ratio_value(row: CellSummary, context: Context) -> float | None:
    """Return the ratio to the reference engine, None where none was measured."""
    found = context.to_reference(row)
    return found.ratio if found else None


def ratio_present(context: Context) -> bool:
    """Say whether a table has ratios: on a terminal only where any was measured."""
    return bool(context.summary.ratios) or context.view not in TERMINAL


def utterances(row: CellSummary, context: Context) -> str:
    """Return of how many utterances a row is, among those that were asked for."""
    if row.utterances is None:
        return figures.MISSING
    return f"{row.utterances} of {len(context.summary.environment.audio)}"


def utterances_present(context: Context) -> bool:
    """Say whether a budget did not reach all utterances for some row."""
    asked = len(context.summary.environment.audio)
    return any(row.utterances not in (None, asked) for row in context.rows)


def several_threads(context: Context) -> bool:
    """Say whether a result has more than one thread count, so that they can be compared."""
    return len({row.threads for row in context.summary.cells}) > 1


def embeddings_a_core(row: CellSummary, _: Context) -> float | None:
    """Return the chunks a second that a core embeds."""
    return 1000 / row.chunk_ms / row.threads if row.chunk_ms else None


def half_width(row: CellSummary, _: Context) -> str | None:
    """Return half of the interval's width in percent, as it is shown."""
    return figures.plus_minus(row.rtf_ci95).strip("± %") if row.rtf_ci95 else None


def chunk(row: CellSummary, context: Context) -> str:
    """Return the samples a chunk; error rates are told of the number itself."""
    whole = row.chunk_samples < 0 and context.view != "verification"
    return "whole" if whole else str(row.chunk_samples)


def eer_difference(row: CellSummary, context: Context) -> float:
    """Return the percentage points by which a row's error rate is over the first of its model."""
    first = next(each for each in context.rows if each.title == row.title)
    return 100 * ((row.eer or 0.0) - (first.eer or 0.0))


def eer_loss(row: CellSummary, _: Context) -> str:
    """Return what a precision loses of the EER, in points, with its interval."""
    if row.eer_loss is None:
        return figures.MISSING
    loss, low, high = (100 * value for value in row.eer_loss)
    return f"{loss:+.2f} ({low:+.2f} to {high:+.2f})"


def min_dcf_loss(row: CellSummary, _: Context) -> str:
    """Return what a precision loses of the minDCF, with its interval."""
    if row.min_dcf_loss is None:
        return figures.MISSING
    loss, low, high = row.min_dcf_loss
    return f"{loss:+.3f} ({low:+.3f} to {high:+.3f})"
