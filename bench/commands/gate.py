"""`rtfbench gate` and `rtfbench compare`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.commands.report import append_to_step_summary, read_summary
from bench.commands.run import progress_on_stderr
from bench.gate import baseline as baselines
from bench.gate import report, stored
from bench.gate.baseline import MARGIN, Baseline
from bench.gate.comparison import Comparison
from bench.gate.verdict import Answer, Ruling, overall
from bench.results.store import RECORDS, RunFolder

PASS, REGRESSION, INCONCLUSIVE = 0, 1, 3
STATUS: dict[Answer, int] = {
    "pass": PASS,
    "regression": REGRESSION,
    "inconclusive": INCONCLUSIVE,
}


@dataclass(frozen=True)
class Wanted:
    """Where the result goes, besides standard output."""

    junit: Path | None = None
    comment: Path | None = None
    github_summary: bool = False


def gate(
    baseline: Path | None,
    revision: str | None,
    *,
    max_regression: float | None,
    budget_s: float,
    wanted: Wanted,
) -> int:
    """Hold what is installed against a baseline, and return the exit status."""
    if (baseline is None) == (revision is None):
        raise InputError("name one of --baseline FILE and --against-rev REVISION")
    held = baselines.load_baseline(baseline) if baseline else Baseline(revision=revision)
    return _run(Comparison.with_baseline(held, budget_s=budget_s, most=max_regression), wanted)


def compare(
    base: str,
    candidate: str,
    *,
    model: str,
    threads: int,
    chunk_samples: int,
    max_regression: float,
    budget_s: float,
    wanted: Wanted,
) -> int:
    """Hold two specifications or two finished runs against each other."""
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return _compare_stored(*folders, most=max_regression, wanted=wanted)
    asked = Comparison.of_specs(
        base,
        candidate,
        model=model,
        threads=threads,
        chunk_samples=chunk_samples,
        budget_s=budget_s,
        most=max_regression,
    )
    return _run(asked, wanted)


def _run(asked: Comparison, wanted: Wanted) -> int:
    with progress_on_stderr() as progress:
        found = asked.run(progress)
    return _tell(list(found.lines), asked.title, found.seconds, wanted)


def _compare_stored(base: Path, candidate: Path, *, most: float, wanted: Wanted) -> int:
    before, after = (read_summary(RunFolder(path)) for path in (base, candidate))
    lines = stored.compare_runs(before, after, margin=MARGIN, most=most)
    if not lines:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    notes = [stored.WHY_NO_ABSOLUTE]
    advisory = not stored.same_host(before.environment, after.environment)
    if advisory:
        notes.append("The hosts differ, so this is advice: measure both sides on one machine.")
    status = _tell(lines, f"{candidate} against {base}", 0.0, wanted, notes)
    return INCONCLUSIVE if advisory and status == REGRESSION else status


def _tell(
    lines: list[Ruling], title: str, seconds: float, wanted: Wanted, notes: Sequence[str] = ()
) -> int:
    text = report.markdown(lines, title=title, notes=notes)
    print(text)
    if wanted.github_summary:
        append_to_step_summary(text)
    writers: list[tuple[Path | None, Callable[[], str]]] = [
        (wanted.junit, lambda: report.junit(lines, title=title, seconds=seconds)),
        (wanted.comment, lambda: text),
    ]
    for path, write in writers:
        if path is not None:
            try:
                with replacing(path) as part:
                    part.write_text(write(), encoding="utf-8")
            except OSError as error:
                raise InputError(f"{path}: cannot write here ({error.strerror})") from error
            print(path, file=sys.stderr)
    return STATUS[overall(lines)]
