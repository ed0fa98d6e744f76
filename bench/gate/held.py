"""Two sides held against each other, whether they are measured now or were before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import InputError
from bench.gate import report, stored
from bench.gate.baseline import MARGIN
from bench.gate.comparison import Comparison
from bench.gate.verdict import Ruling
from bench.measure.context import Progress
from bench.measure.whole_run import read_summary
from bench.results.same_host import differences
from bench.results.store import RECORDS, RunFolder


@dataclass(frozen=True)
class Held:
    """Rulings with their title and the notes below them; see `bench.gate.measure.Found`."""

    rulings: Sequence[Ruling]
    title: str
    notes: Sequence[str]
    seconds: float = 0.0
    seed: int | None = None
    interrupted: bool = False


def hold(
    base: str,
    candidate: str,
    *,
    model: str,
    threads: int,
    chunk_samples: int,
    max_regression: float,
    budget_s: float,
    seed: int | None,
    max_rss_mb: float | None,
    progress: Progress,
) -> Held:
    """Hold two specifications or two finished runs against each other.

    Raises:
        InputError: a side cannot be read or prepared.
    """
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return hold_stored(*folders, max_regression=max_regression)
    asked = Comparison.of_specs(
        base,
        candidate,
        model=model,
        threads=threads,
        chunk_samples=chunk_samples,
        budget_s=budget_s,
        max_regression=max_regression,
        seed=seed,
        max_rss_mb=max_rss_mb,
    )
    return hold_measured(asked, progress)


def hold_measured(asked: Comparison, progress: Progress) -> Held:
    """Measure both sides of a comparison."""
    found = asked.run(progress)
    notes = [
        f"Measured for {found.seconds:.0f} s. `--seed {found.seed}` repeats the order of all turns."
    ]
    if found.interrupted:
        notes.append("Interrupted: judged by what was measured until then.")
    return Held(found.rulings, asked.title, notes, found.seconds, found.seed, found.interrupted)


def hold_stored(base: Path, candidate: Path, *, max_regression: float) -> Held:
    """Compare two finished runs.

    Raises:
        InputError: they have no ratio in common.
    """
    before, after = (read_summary(RunFolder(path)) for path in (base, candidate))
    rulings = stored.compare_runs(before, after, margin=MARGIN, max_regression=max_regression)
    if not rulings:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    other = differences(before.environment, after.environment)
    notes = [report.other_host(other)] if other else [stored.WHY_NO_ABSOLUTE]
    return Held(rulings, f"{candidate} against {base}", notes)
