"""Finished runs are compared by ratios, with room for another host or hour."""

import pytest

from bench.gate.stored import compare_runs, same_host
from bench.gate.verdict import Ruling
from bench.results.rows import Summary
from tests.unit.report.results import ratio, row, summary


def run(value: float, *, cpu: str = "Test CPU") -> Summary:
    """Return a run in which mnn takes `value` times as long as onnxruntime."""
    made = summary(row(), ratios=(ratio(ratio=value, ci95=(value / 1.01, value * 1.01)),))
    host = made.environment.model_copy(update={"cpu": cpu})
    return made.model_copy(update={"environment": host})


def line(before: Summary, after: Summary) -> Ruling:
    """Return the only line of a comparison."""
    (found,) = compare_runs(before, after, margin=0.02, max_regression=0.05)
    return found


def test_the_same_ratio_passes_on_one_host() -> None:
    """An hour later a ratio may have moved by a percent or two."""
    assert line(run(0.5), run(0.5)).answer == "pass"
    assert line(run(0.5), run(0.6)).answer == "regression"


def test_another_host_widens_the_interval() -> None:
    """What would be a regression here may be another cache there."""
    there = run(0.55, cpu="Other CPU")
    assert line(run(0.5), there).answer == "inconclusive"
    assert line(run(0.5), run(0.55)).answer == "regression"
    assert not same_host(run(0.5).environment, there.environment)


def test_a_run_without_intervals_decides_nothing() -> None:
    """One that was too short says so."""
    short = summary(row(), ratios=(ratio(ci95=None),))
    assert line(short, run(0.5)).answer == "inconclusive"


def test_only_what_both_have_is_compared() -> None:
    """Other cells are left out."""
    other = summary(row(), ratios=(ratio(threads=2),))
    assert compare_runs(run(0.5), other, margin=0.02, max_regression=0.05) == []


def test_the_change_is_the_quotient() -> None:
    """From 0.5 to 0.55 is 1.1."""
    assert line(run(0.5), run(0.55)).ratio == pytest.approx(1.1)
