"""`rtfbench gate` and `rtfbench compare`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.commands.progress import progress_on_stderr
from bench.commands.report import append_to_step_summary, read_summary
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
    json: bool = False


def gate(
    baseline: Path | None,
    revision: str | None,
    *,
    max_regression: float | None,
    budget_s: float,
    wanted: Wanted,
    seed: int | None = None,
) -> int:
    """Hold what is installed against a baseline, and return the exit status."""
    if (baseline is None) == (revision is None):
        raise InputError("name one of --baseline FILE and --against-rev REVISION")
    held = baselines.load_baseline(baseline) if baseline else Baseline(revision=revision)
    asked = Comparison.with_baseline(
        held, budget_s=budget_s, max_regression=max_regression, seed=seed
    )
    return _run(asked, wanted)


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
    seed: int | None = None,
) -> int:
    """Hold two specifications or two finished runs against each other."""
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return _compare_stored(*folders, max_regression=max_regression, wanted=wanted)
    asked = Comparison.of_specs(
        base,
        candidate,
        model=model,
        threads=threads,
        chunk_samples=chunk_samples,
        budget_s=budget_s,
        max_regression=max_regression,
        seed=seed,
    )
    return _run(asked, wanted)


def _run(asked: Comparison, wanted: Wanted) -> int:
    with progress_on_stderr() as progress:
        found = asked.run(progress)
    notes = [
        f"Measured for {found.seconds:.0f} s. `--seed {found.seed}` repeats the order of all turns."
    ]
    return _tell(found.rulings, asked.title, wanted, notes, seconds=found.seconds, seed=found.seed)


def _compare_stored(base: Path, candidate: Path, *, max_regression: float, wanted: Wanted) -> int:
    before, after = (read_summary(RunFolder(path)) for path in (base, candidate))
    rulings = stored.compare_runs(before, after, margin=MARGIN, max_regression=max_regression)
    if not rulings:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    other = stored.differences(before.environment, after.environment)
    notes = [report.other_host(other)] if other else [stored.WHY_NO_ABSOLUTE]
    return _tell(rulings, f"{candidate} against {base}", wanted, notes)


def _tell(
    rulings: Sequence[Ruling],
    title: str,
    wanted: Wanted,
    notes: Sequence[str],
    *,
    seconds: float = 0.0,
    seed: int | None = None,
) -> int:
    """Print what was found, write it where it is wanted, and return the exit status."""
    text = report.markdown(rulings, title=title, notes=notes)
    if wanted.json:
        print(report.as_json(rulings, title=title, seconds=seconds, seed=seed), end="")
    else:
        print(text)
    if wanted.github_summary:
        append_to_step_summary(text)
    writers: list[tuple[Path | None, Callable[[], str]]] = [
        (wanted.junit, lambda: report.junit(rulings, title=title, seconds=seconds)),
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
    return STATUS[overall(rulings)]
