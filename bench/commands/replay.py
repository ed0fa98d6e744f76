"""`rtfbench replay`."""

import sys
from pathlib import Path

from bench.base.errors import InputError
from bench.claims import claim as claims
from bench.claims import report as text
from bench.commands.progress import ON_STDERR
from bench.measure.whole_run import OK, default_folder, measure
from bench.models import homes, names
from bench.models.resolve import resolve
from bench.plan.sweep import Plan

REPLAY = "replay.md"


def replay(name: str, *, audio: tuple[Path, ...], budget_s: float | None, out: Path | None) -> int:
    """Measure what a claim was measured with, print both, and return the exit status."""
    claim = claims.on(
        claims.load_claim(name), lambda engine: homes.place(engine, homes.named([engine]))
    )
    try:
        resolved = resolve(claims.cells(claim, names.default_form))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    flags = {} if budget_s is None else {"budget_s": budget_s}
    try:
        plan = Plan.model_validate({"audio": audio, **flags})
    except ValueError as error:
        raise InputError(f"--budget: must be greater than 0, not {budget_s:g}") from error
    path = out or default_folder(f"{Path(name).stem}-")
    measured = measure(plan, resolved, path, ON_STDERR)
    summary = measured.summary
    page = text.render(
        claim,
        summary,
        [claims.measured_row(claim, summary, row, names.default_form) for row in claim.row],
        claims.judge(claim, summary, names.default_form),
        claims.counts(claim, summary, names.default_form),
    )
    measured.folder.write(REPLAY, page)
    print(page, end="")
    print(f"results: {path}", file=sys.stderr)
    return measured.status


def list_claims() -> int:
    """Print the claims that come with the package."""
    for name in claims.claim_names():
        claim = claims.load_claim(name)
        print(f"{name}: {claim.title} ({claim.source})")
    return OK
