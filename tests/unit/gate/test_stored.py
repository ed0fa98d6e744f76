"""Finished runs of one host are compared by ratios, with room for the hour; others are not."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rtfbench.gate.held import compare_runs
from rtfbench.gate.verdict import Ruling
from rtfbench.results.host import BETWEEN_HOURS, Environment, Host, Probes, differences
from rtfbench.results.rows import Summary
from tests.unit.report.results import ratio, row, summary

ZEN4 = Host(vendor="AuthenticAMD", family=25, model=17, microarchitecture="Zen 4")
ZEN5 = Host(vendor="AuthenticAMD", family=26, model=2, microarchitecture="Zen 5")


def run(value: float, host: Host | None = ZEN4, **environment: object) -> Summary:
    """Return a run in which mnn takes `value` times as long as onnxruntime."""
    made = summary(row(), ratios=(ratio(ratio=value, ci95=(value / 1.01, value * 1.01)),))
    where = made.environment.model_copy(update={"host": host, **environment})
    return made.model_copy(update={"environment": where})


def line(before: Summary, after: Summary) -> Ruling:
    """Return the only line of a comparison."""
    (found,) = compare_runs(before, after, margin=0.02, max_regression=0.05)
    return found


def test_the_same_ratio_passes_on_one_host() -> None:
    """An hour later a ratio may have moved by a percent or two."""
    assert line(run(0.5), run(0.5)).answer == "pass"
    assert line(run(0.5), run(0.6)).answer == "regression"


def test_another_host_is_not_judged() -> None:
    """Twice as slow there is another cache, not a regression; both figures are told."""
    for value in (0.5, 1.0):
        found = line(run(0.5), run(value, ZEN5))
        assert (found.answer, found.ratio, found.interval) == ("inconclusive", None, None)
        assert found.why == f"not judged: other host; 0.500 in the base, {value:.3f} in the head"


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_bytes": 8 * 10**9 + 8192},
        {"os": "Linux 6.1-other"},
        {"load_average_1min": 3.0},
    ],
)
def test_what_changes_no_speed_makes_no_other_host(changes: Mapping[str, Any]) -> None:
    """A few bytes of memory and the kernel's suffix separate nothing."""
    assert differences(environment(ZEN4), environment(ZEN4, **changes)) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"family": 26}, "family"),
        ({"instruction_sets": ("avx2",)}, "instruction sets"),
        ({"cache_bytes": {"L2": 2**20}}, "caches"),
        ({"threads_per_core": 2}, "threads a core"),
        ({"hypervisor": "KVM"}, "hypervisor"),
        ({"cpu_limit": 1.5}, "CPU limit"),
    ],
)
def test_what_tells_two_hosts_apart_is_named(changes: Mapping[str, Any], name: str) -> None:
    """Under one CPU name, each of these may turn which engine is faster."""
    other = environment(ZEN4.model_copy(update=dict(changes)))
    assert [what for what, _, _ in differences(environment(ZEN4), other)] == [name]


def test_a_core_that_was_measured_to_be_another_is_another() -> None:
    """The same text of the system, half of the multiply-adds: one core is shared, or throttled."""

    def probed(peak: float) -> Environment:
        probes = Probes(clock_ghz=4.0, copy_gb_s=20.0, peaks={"float32 avx2": peak})
        return environment(ZEN4.model_copy(update={"probes": probes}))

    assert differences(probed(128.0), probed(121.0)) == []
    (found,) = differences(probed(128.0), probed(64.0))
    assert found == ("float32 avx2", "32 operations a cycle", "16 operations a cycle")


def test_a_run_without_a_fingerprint_may_be_of_any_host() -> None:
    """The CPU's name says too little."""
    assert differences(environment(None), environment(None)) == [("fingerprint", "none", "none")]
    assert line(run(0.5, None), run(0.5, None)).answer == "inconclusive"


def test_a_run_without_intervals_decides_nothing() -> None:
    """One that was too short says so."""
    short = run(0.5).model_copy(update={"ratios": (ratio(ci95=None),)})
    assert line(short, run(0.5)).answer == "inconclusive"


def test_only_what_both_have_is_compared() -> None:
    """Other cells are left out."""
    other = run(0.5).model_copy(update={"ratios": (ratio(threads=2),)})
    assert compare_runs(run(0.5), other, margin=0.02, max_regression=0.05) == []


def test_jobs_and_batches_are_cells_of_their_own() -> None:
    """Each is held against itself, and its line says which it is."""
    cells = ({"jobs": 1}, {"jobs": 2}, {"jobs": 2, "batch": 4})
    each = tuple(
        ratio(ratio=value, ci95=(value / 1.01, value * 1.01), protocol="throughput", **sharing)
        for value, sharing in zip((0.5, 0.6, 0.8), cells, strict=True)
    )
    both = run(0.5).model_copy(update={"ratios": each})
    found = compare_runs(both, both, margin=0.02, max_regression=0.05)
    assert [line.ratio for line in found] == [1.0, 1.0, 1.0]
    settings = [line.cell.split("dynamic, ")[1] for line in found]
    assert settings == [
        "32000 samples, 1 thread, throughput",
        "32000 samples, 2 jobs of 1 thread, throughput",
        "32000 samples, batches of 4, 2 jobs of 1 thread, throughput",
    ]


def test_the_change_is_the_quotient() -> None:
    """From 0.5 to 0.55 is 1.1."""
    assert line(run(0.5), run(0.55)).ratio == pytest.approx(1.1)


def test_many_ratios_alarm_together_as_seldom_as_one() -> None:
    """Thirty ratios of one host, nothing changed: any is called slower in 5 % of runs at most."""
    rng = np.random.default_rng(3)
    half, alarms, trials = 0.01, 0, 400
    for _ in range(trials):
        before, after = (
            [0.5 * np.exp(rng.normal(0, half / 1.96) + hour) for hour in hours]
            for hours in rng.normal(0, BETWEEN_HOURS / np.sqrt(2), (2, 30))
        )
        runs = [
            run(0.5).model_copy(
                update={
                    "ratios": tuple(
                        ratio(threads=n, ratio=v, ci95=(v / (1 + half), v * (1 + half)))
                        for n, v in enumerate(values, start=1)
                    )
                }
            )
            for values in (before, after)
        ]
        found = compare_runs(*runs, margin=0.0, max_regression=0.05)
        alarms += any(each.answer == "regression" for each in found)
    assert alarms <= 0.05 * trials


def environment(host: Host | None, **changes: object) -> Environment:
    """Return where a run was made."""
    return run(1.0, host, **changes).environment
