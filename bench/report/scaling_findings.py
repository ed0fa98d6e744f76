"""What further threads, jobs and larger batches bring, each against one (pure)."""

from collections.abc import Iterator, Sequence
from typing import Literal

from bench.report import figures
from bench.report.compare import ends, side
from bench.report.finding import Finding
from bench.results.rows import CellSummary, Summary

Axis = Literal["threads", "jobs", "batch"]
AXES: tuple[Axis, ...] = ("threads", "jobs", "batch")
#: What one of it is called.
ONE: dict[Axis, str] = {"threads": "", "jobs": " job", "batch": " chunk at a time"}
#: Batches share no cores, so that they have no efficiency.
SHARING: frozenset[Axis] = frozenset({"threads", "jobs"})


def scaling_findings(summary: Summary) -> Iterator[Finding]:
    """Say it where both have intervals of their RTF; a batch may well be slower."""
    for axis in AXES:
        told: dict[str, list[str]] = {}
        for row in summary.cells:
            alone = with_one(axis, row, summary.cells)
            if alone is None or None in (row.rtf, row.rtf_ci95, alone.rtf, alone.rtf_ci95):
                continue
            assert row.rtf
            assert alone.rtf
            assert row.rtf_ci95
            assert alone.rtf_ci95
            ratio = alone.rtf / row.rtf
            ci95 = (alone.rtf_ci95[0] / row.rtf_ci95[1], alone.rtf_ci95[1] / row.rtf_ci95[0])
            text = (
                f"{row.engine_label} {row.form} {figures.factor(ratio)} times as fast "
                f"({ends(ci95)})"
            )
            if axis in SHARING:
                text += f", {figures.percent(ratio / getattr(row, axis))} efficiency"
            head = f"{row.title}, {row.protocol}, {figures.setting(*row.setting)} against one"
            told.setdefault(head, []).append(text + _slower(ci95[1]))
        for head, sentences in told.items():
            yield Finding(axis, f"{head}{ONE[axis]}: {'; '.join(sentences)}.")


def _slower(high: float) -> str:
    return ", which is slower" if high < 1 else ""


def with_one(axis: Axis, row: CellSummary, rows: Sequence[CellSummary]) -> CellSummary | None:
    """Return the row that differs from another by having one of something, None without such."""
    if getattr(row, axis) == 1:
        return None

    def rest(each: CellSummary) -> tuple[object, ...]:
        others = [getattr(each, other) for other in AXES if other != axis]
        return (each.model, side(each), each.protocol, each.chunk_samples, *others)

    same = (each for each in rows if getattr(each, axis) == 1 and rest(each) == rest(row))
    return next(same, None)
