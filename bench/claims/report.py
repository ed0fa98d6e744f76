"""A published claim beside its measurement, as markdown."""

from collections.abc import Sequence

from bench.claims.claim import Claim, Counted, Judged
from bench.report import figures
from bench.report.compare import times
from bench.report.grid import grid
from bench.results.rows import CellSummary, Summary


def render(
    claim: Claim,
    summary: Summary,
    rows: Sequence[CellSummary | None],
    judged: Sequence[Judged],
    counted: Sequence[Counted],
) -> str:
    """Return the whole comparison.

    Args:
        claim: what was published.
        summary: what was measured.
        rows: the measured row of each published one, None where it was not measured.
        judged: the ratios with their verdicts.
        counted: Params and FLOPs.
    """
    environment = summary.environment
    conditions = (
        f"{figures.setting(claim.chunk_samples, claim.threads)}, {claim.protocol} protocol. "
        f"Published: {claim.cpu or 'an unnamed CPU'}. Measured: {environment.cpu_kind}, rtfbench "
        f"{environment.rtfbench}. Absolute RTFs are two machines': ratios are compared."
    )
    parts = [f"## {claim.title}", f"Source: {claim.source}.", conditions, _rows(claim, rows)]
    if judged:
        parts.append(_ratios(claim, judged))
        parts += [
            f"- {_pair(each)}: {each.verdict.removesuffix(' by')}, explained by {each.reason}."
            if each.verdict == "reproduced"
            else f"- {_pair(each)}: explained by {each.reason}."
            for each in judged
            if each.reason
        ]
        if any(not each.paired and each.measured is not None for each in judged):
            parts.append(
                "An asterisk marks ratios of two medians, not of paired measurements: their "
                "intervals are wide enough for the drift within a row, not between rows."
            )
    if counted:
        parts.append(_counts(counted))
    parts += [
        f"- {row.title}, {row.engine_label}: {row.status.replace('_', ' ')}: {row.reason}"
        for row in rows
        if row is not None and row.status != "ok"
    ]
    parts.append(verdict(judged, counted))
    return "\n\n".join(parts) + "\n"


def verdict(judged: Sequence[Judged], counted: Sequence[Counted]) -> str:
    """Return the claim's end in one line."""
    kinds = ("reproduced", "explained by", "not reproduced", "not measured")
    tally = {kind: sum(each.verdict == kind for each in judged) for kind in kinds}
    told = [f"{count} {kind.removesuffix(' by')}" for kind, count in tally.items() if count]
    same = sum(each.same for each in counted)
    return (
        f"Verdict: of {len(judged)} ratios {', '.join(told) or 'none'}; "
        f"{same} of {len(counted)} counts agree digit by digit."
    )


def _rows(claim: Claim, rows: Sequence[CellSummary | None]) -> str:
    lines = [("row", "engine", "published RTF", "measured RTF", "95 %")]
    for published, row in zip(claim.row, rows, strict=True):
        ok = row is not None and row.status == "ok"
        ended = figures.MISSING if row is None else row.status.replace("_", " ")
        lines.append(
            (
                published.label,
                published.engine,
                f"{published.rtf:g}",
                figures.rtf(row.rtf) if row is not None and ok else ended,
                figures.plus_minus(row.rtf_ci95) if row else figures.MISSING,
            )
        )
    return grid(lines, [False, False, True, True, True])


def _ratios(claim: Claim, judged: Sequence[Judged]) -> str:
    lines = [("ratio", "published", "measured (95 %)", "verdict")]
    for each in judged:
        measured = figures.MISSING
        if each.measured is not None:
            measured = times(each.measured, each.ci95) + ("" if each.paired else " *")
        lines.append((_pair(each), figures.times(each.published), measured, each.verdict))
    return grid(lines, [False, True, True, False]) + (
        f"\n\nReproduced: the interval reaches within {figures.percent(claim.tolerance)} of the "
        "published ratio."
    )


def _counts(counted: Sequence[Counted]) -> str:
    lines = [("row", "count", "published", "counted", "digits")]
    lines += [
        (each.label, each.what, each.published, each.counted, "same" if each.same else "differ")
        for each in counted
    ]
    return grid(lines, [False, False, True, True, False])


def _pair(each: Judged) -> str:
    return f"{each.pair.row} / {each.pair.against}"
