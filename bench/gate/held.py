"""Two sides held against each other, whether they are measured now or were before."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import special

from rtfbench.base.errors import InputError
from rtfbench.gate import report
from rtfbench.gate.comparison import Comparison
from rtfbench.gate.options import MARGIN, GateOptions
from rtfbench.gate.verdict import Answer, Ruling
from rtfbench.measure.context import Progress
from rtfbench.measure.whole_run import read_stored
from rtfbench.report import figures
from rtfbench.report.document import Block
from rtfbench.results.rows import Ratio, Summary
from rtfbench.results.same_host import BETWEEN_HOURS, differences
from rtfbench.results.store import RECORDS

#: How often any of the ratios may be called slower or passed wrongly.
ALPHA = 0.05

WHY_NO_ABSOLUTE = (
    "Absolute times are not compared: two hours of one host differ by more than engines do. "
    "Compared are the ratios to the reference engine."
)


def compare_runs(
    base: Summary, candidate: Summary, *, margin: float, max_regression: float
) -> list[Ruling]:
    """Return a ruling for every ratio that both runs have; of two hosts, none is judged."""
    old = {_key(ratio): ratio for ratio in base.ratios}
    both = [(old[_key(ratio)], ratio) for ratio in candidate.ratios if _key(ratio) in old]
    if differences(base.environment, candidate.environment):
        return list(_not_judged(both, max_regression))
    return list(_rulings(both, margin=margin, max_regression=max_regression))


def _not_judged(both: Sequence[tuple[Ratio, Ratio]], max_regression: float) -> Iterator[Ruling]:
    for before, after in both:
        yield Ruling(
            _name(after),
            f"× {after.reference}",
            "inconclusive",
            limit=max_regression,
            why=f"not judged: other host; {before.ratio:.3f} there, {after.ratio:.3f} here",
        )


def _rulings(
    both: Sequence[tuple[Ratio, Ratio]], *, margin: float, max_regression: float
) -> Iterator[Ruling]:
    """Judge ratios of one host; their intervals hold together (Bonferroni)."""
    single = float(special.ndtri(1 - ALPHA / 2))
    factor = float(special.ndtri(1 - ALPHA / 2 / max(len(both), 1)))
    for before, after in both:
        name, what = _name(after), f"× {after.reference}"
        change = after.ratio / before.ratio
        if before.ci95 is None or after.ci95 is None:
            why = "not judged: a run has no interval"
            yield Ruling(name, what, "inconclusive", change, limit=max_regression, why=why)
            continue
        widths = (math.log(ci[1] / ci[0]) / 2 / single for ci in (before.ci95, after.ci95))
        half = factor * math.sqrt(sum(width**2 + BETWEEN_HOURS**2 for width in widths))
        interval = (change * math.exp(-half), change * math.exp(half))
        answer = _answer(interval, margin, max_regression)
        yield Ruling(name, what, answer, change, interval, max_regression)


def _answer(interval: tuple[float, float], margin: float, max_regression: float) -> Answer:
    if interval[0] > 1 + margin:
        return "regression"
    return "pass" if interval[1] <= 1 + max_regression else "inconclusive"


def _name(ratio: Ratio) -> str:
    setting = figures.setting(*ratio.setting)
    return f"{ratio.model}, {ratio.engine} {ratio.form}, {setting}, {ratio.protocol}"


def _key(ratio: Ratio) -> tuple[object, ...]:
    return ratio.condition, ratio.engine, ratio.form, ratio.reference, ratio.reference_form


@dataclass(frozen=True)
class Held:
    """Rulings with their title and the notes below them; see `measure.GateFindings`."""

    rulings: Sequence[Ruling]
    title: str
    notes: Sequence[Block | str]
    seconds: float = 0.0
    seed: int | None = None
    interrupted: bool = False


def hold(base: str, candidate: str, options: GateOptions, progress: Progress) -> Held:
    """Hold two specifications or two finished runs against each other.

    Raises:
        InputError: a side cannot be read or prepared.
    """
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return hold_stored(*folders, options=options)
    return hold_measured(Comparison.of_specs(base, candidate, options), progress)


def hold_measured(asked: Comparison, progress: Progress) -> Held:
    """Measure both sides of a comparison."""
    found = asked.run(progress)
    notes = [
        f"Measured for {found.seconds:.0f} s. `--seed {found.seed}` repeats the order of all turns."
    ]
    if found.interrupted:
        notes.append("Interrupted: judged by what was measured until then.")
    return Held(found.rulings, asked.title, notes, found.seconds, found.seed, found.interrupted)


def hold_stored(base: Path, candidate: Path, *, options: GateOptions) -> Held:
    """Compare two finished runs.

    Raises:
        InputError: they have no ratio in common.
    """
    before, after = (read_stored(path)[1] for path in (base, candidate))
    rulings = compare_runs(before, after, margin=MARGIN, max_regression=options.limit())
    if not rulings:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    other = differences(before.environment, after.environment)
    notes = report.other_host(other) if other else [WHY_NO_ABSOLUTE]
    return Held(rulings, f"head {candidate}, base {base}", notes)
