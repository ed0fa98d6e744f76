"""Change points: planted ones are found where they are, and there are none where none are."""

import math

import numpy as np
import pytest

from rtfbench.base.packages import cure, missing
from rtfbench.results.change_points import (
    ALPHA,
    FEWEST_RUNS,
    MeasuredRatio,
    around,
    scatter,
    search,
    step,
)
from rtfbench.results.host import BETWEEN_HOURS
from rtfbench.results.stats import TWO_SIDED_95

pytestmark = pytest.mark.skipif(missing("ruptures"), reason=cure("ruptures"))
OWN = 0.004


def history(
    rng: np.random.Generator, count: int, *, between: float = BETWEEN_HOURS, **steps: float
) -> list[MeasuredRatio]:
    """Return runs whose ratio is 0.5; `from_7=0.1` raises it by so much from the eighth run on."""
    logs = math.log(0.5) + rng.normal(0, math.hypot(between, OWN), count)
    for name, height in steps.items():
        kind, _, place = name.partition("_")
        logs[int(place) : None if kind == "from" else int(place) + 1] += height
    half = TWO_SIDED_95 * OWN
    return [MeasuredRatio(math.exp(x), (math.exp(x - half), math.exp(x + half))) for x in logs]


@pytest.mark.parametrize("count", [6, 12, 40])
def test_an_unchanged_history_has_no_change(count: int) -> None:
    """One is seen in 5 % of histories at most, a lone run among them."""
    rng = np.random.default_rng(count)
    found = [search(history(rng, count)) for _ in range(400)]
    assert np.mean([len(each.levels) > 1 or bool(each.alone) for each in found]) <= ALPHA


def test_a_noisier_host_is_told_by_its_own_runs() -> None:
    """Where hours scatter by more than validation found, steps from run to run show it."""
    rng = np.random.default_rng(2)
    found = [search(history(rng, 12, between=0.03)) for _ in range(300)]
    assert np.mean([len(each.levels) > 1 for each in found]) < 0.15
    assert scatter(history(rng, 40, between=0.03))[0] > 2 * BETWEEN_HOURS


@pytest.mark.parametrize(("count", "place"), [(6, 3), (12, 9), (40, 38)])
def test_a_planted_change_is_found_where_it_is(count: int, place: int) -> None:
    """Five percent, from two runs behind it on; the interval of the step holds it."""
    rng = np.random.default_rng(place)
    found = [search(history(rng, count, **{f"from_{place}": 0.05})) for _ in range(200)]
    right = [f.levels for f in found if [level.runs[0] for level in f.levels[1:]] == [place]]
    assert len(right) / len(found) > 0.85
    holding = [low <= math.exp(0.05) <= high for _, (low, high) in (step(*f) for f in right)]
    assert np.mean(holding) > 0.9


@pytest.mark.parametrize("height", [0.04, 0.08])
def test_a_change_lies_where_it_may(height: float) -> None:
    """Between the runs that are surely before and surely after it, in 95 % of cases."""
    rng = np.random.default_rng(9)
    within, wide = [], []
    for _ in range(200):
        runs = history(rng, 16, from_8=height)
        found = search(runs).levels
        if len(found) == 2:
            last, first = around(runs, *found)
            within.append(last < 8 <= first)
            wide.append(first - last)
    assert np.mean(within) >= 0.95
    assert np.mean(wide) < 3


def test_two_changes_are_two() -> None:
    """Up and half-way down again."""
    rng = np.random.default_rng(5)
    found = search(history(rng, 30, from_10=0.2, from_20=-0.1))
    assert [level.runs[0] for level in found.levels] == [0, 10, 20]
    assert found.levels[1].ratio == pytest.approx(0.5 * math.exp(0.2), rel=0.02)


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_single_run_is_no_change(place: int) -> None:
    """Nor does it draw a neighbour with it: it stands alone, in the middle and at either end."""
    rng = np.random.default_rng(place)
    found = search(history(rng, 20, **{f"only_{place}": 0.2}))
    assert found.alone == (place,)
    assert [level.runs for level in found.levels] == [tuple(i for i in range(20) if i != place)]


def test_few_runs_say_nothing() -> None:
    """However far they are apart."""
    runs = history(np.random.default_rng(0), FEWEST_RUNS - 1, from_2=1.0)
    assert search(runs).levels == ()


def test_more_histories_take_more() -> None:
    """What would be seen in one ratio alone may be chance among hundreds."""
    rng = np.random.default_rng(1)
    runs = [history(rng, 12, from_6=0.028) for _ in range(100)]
    alone, among = (
        sum(len(search(each, series=series).levels) > 1 for each in runs) for series in (1, 1000)
    )
    assert among < 0.7 * alone


def test_a_wide_interval_weighs_little() -> None:
    """A level is near the runs that were measured well."""
    good = MeasuredRatio(0.5, (0.499, 0.501))
    bad = MeasuredRatio(0.55, (0.4, 0.756))
    (level,) = search([good, good, bad, good, good, bad]).levels
    assert level.ratio == pytest.approx(0.5, abs=0.001)


def test_a_drift_is_a_trend_and_no_change() -> None:
    """Two percent a run is a straight line: one level, and what it comes to with its interval."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(60):
        runs = history(rng, 14)
        drifting = [
            MeasuredRatio(
                run.ratio * math.exp(0.02 * place),
                (run.ci95[0] * math.exp(0.02 * place), run.ci95[1] * math.exp(0.02 * place)),
            )
            for place, run in enumerate(runs)
        ]
        found.append(search(drifting))
    lines = [each.trend for each in found if each.trend is not None]
    assert len(lines) > 50
    assert np.mean([low <= math.exp(0.02 * 13) <= high for _, (low, high) in lines]) > 0.9


def test_a_step_is_no_trend() -> None:
    """Five percent from one run to the next is told as a change."""
    rng = np.random.default_rng(5)
    found = [search(history(rng, 14, from_7=0.05)) for _ in range(60)]
    assert sum(each.trend is not None for each in found) <= 2
