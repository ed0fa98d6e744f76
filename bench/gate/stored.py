"""Two finished runs: only their ratios to the reference engine can be compared (pure).

Absolute times of two hosts, or of one in two hours, differ by more than engines do. A ratio that
was measured in turns carries over, but not quite: caches and clocks favour one engine here and
another there. So its interval is widened by a between-host term.
"""

import math
from collections.abc import Iterator

from bench.gate.verdict import Answer, Ruling
from bench.results.rows import Environment, Ratio, Summary

#: Two hosts may turn a ratio by this much (one standard deviation, a working assumption); one host
#: in two hours by less.
BETWEEN_HOSTS = 0.05
BETWEEN_HOURS = 0.01

WHY_NO_ABSOLUTE = (
    "Absolute times are not compared: two hosts, or two hours of one, differ by more than engines "
    "do. Compared are the ratios to the reference engine."
)


def same_host(first: Environment, second: Environment) -> bool:
    """Say whether two runs have the same fingerprint of their host."""

    def fingerprint(host: Environment) -> tuple[object, ...]:
        return (host.cpu, host.cores, host.usable_cores, host.memory_bytes, host.os)

    return fingerprint(first) == fingerprint(second)


def compare_runs(
    base: Summary, candidate: Summary, *, margin: float, max_regression: float
) -> list[Ruling]:
    """Return a ruling for every ratio that both runs have."""
    extra = BETWEEN_HOURS if same_host(base.environment, candidate.environment) else BETWEEN_HOSTS
    old = {_key(ratio): ratio for ratio in base.ratios}
    return list(_rulings(old, candidate, extra=extra, margin=margin, max_regression=max_regression))


def _rulings(
    old: dict[tuple[object, ...], Ratio],
    candidate: Summary,
    *,
    extra: float,
    margin: float,
    max_regression: float,
) -> Iterator[Ruling]:
    for ratio in candidate.ratios:
        before = old.get(_key(ratio))
        if before is None:
            continue
        name = (
            f"{ratio.model}, {ratio.engine} {ratio.form}, {ratio.threads} thr, "
            f"{ratio.chunk_samples}, {ratio.protocol}"
        )
        what = f"× {ratio.reference}"
        change = ratio.ratio / before.ratio
        if before.ci95 is None or ratio.ci95 is None:
            yield Ruling(
                name,
                what,
                "inconclusive",
                change,
                limit=max_regression,
                why="not judged: a run has no interval",
            )
            continue
        half = math.sqrt(
            sum((math.log(ci[1] / ci[0]) / 2) ** 2 for ci in (before.ci95, ratio.ci95))
            + (1.96 * extra) ** 2
        )
        interval = (change * math.exp(-half), change * math.exp(half))
        answer = _answer(interval, margin, max_regression)
        yield Ruling(name, what, answer, change, interval, max_regression)


def _answer(interval: tuple[float, float], margin: float, max_regression: float) -> Answer:
    if interval[0] > 1 + margin:
        return "regression"
    return "pass" if interval[1] <= 1 + max_regression else "inconclusive"


def _key(ratio: Ratio) -> tuple[object, ...]:
    return (
        ratio.model, ratio.engine, ratio.form, ratio.reference, ratio.reference_form,
        ratio.threads, ratio.chunk_samples, ratio.protocol,
    )  # fmt: skip
