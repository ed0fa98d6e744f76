"""A published table measured again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rtfbench.base.errors import InputError, as_input
from rtfbench.gate.claims import claim as claims
from rtfbench.gate.claims.claim import Claim, ComparedCount, Judged
from rtfbench.measure.plan import Plan
from rtfbench.measure.whole_run import Audience, MeasuredRun, default_folder, measure
from rtfbench.models import homes, names
from rtfbench.models.resolve import resolve
from rtfbench.report import figures, markdown
from rtfbench.report.compare import times
from rtfbench.report.document import Document, Heading, Table, bullets, document, table
from rtfbench.results.rows import CellSummary, Summary


def of_claim(
    claim: Claim,
    summary: Summary,
    rows: Sequence[CellSummary | None],
    judged: Sequence[Judged],
    counted: Sequence[ComparedCount],
) -> Document:
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
    unpaired = any(not each.paired and each.measured is not None for each in judged)
    return document(
        Heading(claim.title),
        f"Source: {claim.source}.",
        conditions,
        _rows(claim, rows),
        *(_ratios(claim, judged) if judged else ()),
        bullets(_explained(each) for each in judged if each.reason),
        "An asterisk marks ratios of two medians, not of paired measurements: their intervals are "
        "wide enough for the drift within a row, not between rows."
        if unpaired
        else None,
        _counts(counted) if counted else None,
        bullets(
            f"{row.title}, {row.engine_label}: {row.status.replace('_', ' ')}: {row.reason}"
            for row in rows
            if row is not None and row.status != "ok"
        ),
        verdict(judged, counted),
    )


def _explained(each: Judged) -> str:
    if each.verdict == "explained by":
        return f"{_pair(each)}: explained by {each.reason}."
    return f"{_pair(each)}: {each.verdict}; {each.reason}."


def verdict(judged: Sequence[Judged], counted: Sequence[ComparedCount]) -> str:
    """Return the claim's end in one line."""
    kinds = ("reproduced", "explained by", "not reproduced", "cannot tell", "not measured")
    tally = {kind: sum(each.verdict == kind for each in judged) for kind in kinds}
    told = [f"{count} {kind.removesuffix(' by')}" for kind, count in tally.items() if count]
    same = sum(each.same for each in counted)
    return (
        f"Verdict: of {len(judged)} ratios {', '.join(told) or 'none'}; "
        f"{same} of {len(counted)} counts agree digit by digit."
    )


def _rows(claim: Claim, rows: Sequence[CellSummary | None]) -> Table:
    lines = []
    for published, row in zip(claim.row, rows, strict=True):
        ok = row is not None and row.status == "ok"
        ended = figures.MISSING if row is None else row.status.replace("_", " ")
        lines.append(
            (
                published.label,
                str(published.engine),
                f"{published.rtf:g}",
                figures.rtf(row.rtf) if row is not None and ok else ended,
                figures.plus_minus(row.rtf_ci95) if row else figures.MISSING,
            )
        )
    return table(["row", "engine", "published RTF", "measured RTF", "95 %"], lines, "llrrr")


def _ratios(claim: Claim, judged: Sequence[Judged]) -> Iterator[Table | str]:
    lines = []
    for each in judged:
        measured = figures.MISSING
        if each.measured is not None:
            measured = times(each.measured, each.ci95) + ("" if each.paired else " *")
        lines.append((_pair(each), figures.times(each.published), measured, each.verdict))
    yield table(["ratio", "published", "measured (95 %)", "verdict"], lines, "lrrl")
    yield (
        f"Reproduced: the whole interval lies within {figures.percent(claim.tolerance)} of the "
        "published ratio; not reproduced: none of it does."
    )


def _counts(counted: Sequence[ComparedCount]) -> Table:
    lines = (
        (each.label, each.what, each.published, each.counted, "same" if each.same else "differ")
        for each in counted
    )
    return table(["row", "count", "published", "counted", "digits"], lines, "llrrl")


def _pair(each: Judged) -> str:
    return f"{each.pair.row} / {each.pair.against}"


REPLAY = "replay.md"


def replay(
    name: str,
    *,
    audio: tuple[Path, ...],
    budget_s: float | None,
    out: Path | None,
    audience: Audience,
) -> tuple[MeasuredRun, Document]:
    """Measure what a claim was measured with, and return the run and the page of both."""
    claim = claims.on(
        claims.load_claim(name), lambda engine: homes.place(engine, homes.named([engine.name]))
    )
    with as_input(InputError, before=f"{name}: "):
        resolved = resolve(claims.cells(claim, names.default_form))
    flags = {} if budget_s is None else {"budget_s": budget_s}
    try:
        plan = Plan.model_validate({"audio": audio, **flags})
    except ValueError as error:
        raise InputError(f"--budget: must be greater than 0, not {budget_s:g}") from error
    path = out or default_folder(f"{Path(name).stem}-")
    measured = measure(plan, resolved, path, audience)
    summary = measured.summary
    told = of_claim(
        claim,
        summary,
        [claims.measured_row(claim, summary, row, names.default_form) for row in claim.row],
        claims.judge(claim, summary, names.default_form),
        claims.counts(claim, summary, names.default_form),
    )
    measured.folder.write(REPLAY, markdown.draw(told))
    return measured, told
