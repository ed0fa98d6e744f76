"""`rtfbench gate` and `rtfbench compare`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.base.cache import replacing
from bench.base.errors import InputError
from bench.base.outputs import check_outputs, writing_to
from bench.commands.progress import progress_on_stderr
from bench.commands.report import append_to_step_summary
from bench.gate import baseline as baselines
from bench.gate import report
from bench.gate.baseline import Baseline
from bench.gate.comparison import Comparison
from bench.gate.held import Held, hold, hold_measured
from bench.gate.verdict import Answer, overall

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

    @property
    def files(self) -> list[Path]:
        """What is written over."""
        return [path for path in (self.junit, self.comment) if path is not None]


def gate(
    baseline: Path | None,
    revision: str | None,
    *,
    max_regression: float | None,
    budget_s: float,
    wanted: Wanted,
    seed: int | None = None,
    max_rss_mb: float | None = None,
) -> int:
    """Hold what is installed against a baseline, and return the exit status."""
    if (baseline is None) == (revision is None):
        raise InputError("name one of --baseline FILE and --against-rev REVISION")
    held = baselines.load_baseline(baseline) if baseline else Baseline(revision=revision)
    check_outputs(wanted.files, [baseline, held.model_file, *map(Path, held.models)])
    asked = Comparison.with_baseline(
        held,
        budget_s=budget_s,
        max_regression=max_regression,
        seed=seed,
        max_rss_mb=max_rss_mb,
    )
    with progress_on_stderr() as progress:
        found = hold_measured(asked, progress)
    return _tell(found, wanted)


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
    max_rss_mb: float | None = None,
) -> int:
    """Hold two specifications or two finished runs against each other."""
    check_outputs(wanted.files, [Path(model), *_read_by(base), *_read_by(candidate)])
    with progress_on_stderr() as progress:
        found = hold(
            base,
            candidate,
            model=model,
            threads=threads,
            chunk_samples=chunk_samples,
            max_regression=max_regression,
            budget_s=budget_s,
            seed=seed,
            max_rss_mb=max_rss_mb,
            progress=progress,
        )
    return _tell(found, wanted)


def _read_by(side: str) -> list[Path]:
    """Return the files that a side of a comparison names: those of a run, or a model."""
    folder = Path(side)
    return [*folder.iterdir()] if folder.is_dir() else [Path(side.partition(":")[2])]


def _tell(held: Held, wanted: Wanted) -> int:
    """Print what was found, write it where it is wanted, and return the exit status."""
    rulings, title, seconds = held.rulings, held.title, held.seconds
    text = report.markdown(rulings, title=title, notes=held.notes)
    if wanted.json:
        print(report.as_json(rulings, title=title, seconds=seconds, seed=held.seed), end="")
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
            with writing_to(path), replacing(path) as part:
                part.write_text(write(), encoding="utf-8")
            print(path, file=sys.stderr)
    return STATUS[overall(rulings)]
