"""What an hour adds to a ratio's spread is what the runs' own intervals do not explain."""

import math

import numpy as np
import pytest

from rtfbench.results.rows import Summary
from tests.unit.report.results import ratio, row, summary
from tests.validation.hours import at_most, between_hours, repeated, section


def runs(count: int, *, own: float, hours: float, ratios: int = 40) -> list[Summary]:
    """Return repeated runs of many ratios: each has its own error, and each run an hour's."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        found = []
        for threads in range(1, ratios + 1):
            value = 0.5 * math.exp(rng.normal(0, own) + rng.normal(0, hours))
            ends = (value * math.exp(-1.96 * own), value * math.exp(1.96 * own))
            found.append(ratio(chunk_samples=100 * threads, ratio=value, ci95=ends))
        made.append(summary(row(), ratios=tuple(found)))
    return made


@pytest.mark.parametrize("hours", [0.0, 0.02])
def test_what_the_runs_state_is_taken_off(hours: float) -> None:
    """By construction: 1 % of their own, and 0 or 2 % of the hour."""
    found = repeated(runs(6, own=0.01, hours=hours))
    assert len(found) == 40
    assert between_hours(found) == pytest.approx(hours, abs=0.004)
    assert between_hours(found) <= at_most(found) < hours + 0.01


def test_only_ratios_of_all_runs_count() -> None:
    """One that a run lacks, or has without an interval, is left out."""
    first, second = runs(2, own=0.01, hours=0.0, ratios=3)
    cut = second.model_copy(update={"ratios": second.ratios[:2]})
    assert len(repeated([first, cut])) == 2
    blind = second.ratios[0].model_copy(update={"ci95": None})
    assert len(repeated([first, second.model_copy(update={"ratios": (blind,)})])) == 0


def test_the_section_says_the_figure() -> None:
    """In percent, with the hours between which it was measured."""
    text = section(runs(4, own=0.01, hours=0.02), "here")
    assert "4 times between 2026-01-02" in text
    assert "Host: here" in text
