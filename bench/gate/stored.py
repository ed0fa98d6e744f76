"""Two finished runs: of one host, their ratios to the reference engine can be compared (pure).

Absolute times of one host in two hours differ by more than engines do; a ratio that was measured
in turns carries over, but not quite, so its interval is widened by what hours make of it. To
another host it does not carry over: caches and instruction sets favour one engine here and another
there, by a factor of two. There, nothing is judged.
"""

import math
from collections.abc import Iterator, Sequence

from scipy import special

from bench.gate.verdict import Answer, Ruling
from bench.report import figures
from bench.results.rows import Ratio, Summary
from bench.results.same_host import BETWEEN_HOURS, differences

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
        half = factor * math.sqrt(sum(width**2 for width in widths) + BETWEEN_HOURS**2)
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
