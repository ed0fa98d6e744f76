"""The gate's three answers, on contrasts that are known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.gate.verdict import (
    Criterion,
    Pair,
    Ruling,
    criteria,
    judge,
    overall,
    suspects,
    undecided,
)
from bench.results.store import CellData
from tests.unit.test_contrasts import add, cell_data

RTF = Criterion("RTF", lambda record: record.processing_ns, 0.02, 0.05)


def sides(ratios: Sequence[float], *, noise: float = 0.003, blocks: int = 3) -> list[CellData]:
    """Return candidate and baseline, the candidate so many times as slow, session by session."""
    rng = np.random.default_rng(len(ratios))
    candidate, baseline = cell_data("mnn"), cell_data("mnn", replica="baseline")
    for session, ratio in enumerate(ratios):
        for block in range(blocks):
            for position in (0, 1):
                add(candidate, session, block, position, a=100 * ratio * rng.lognormal(0, noise))
                add(baseline, session, block, position, a=100 * rng.lognormal(0, noise))
    return [candidate, baseline]


def answer(
    ratios: Sequence[float],
    *,
    clean: bool = True,
    found_at: int | None = None,
    noise: float = 0.003,
) -> Ruling:
    """Return the line of one criterion."""
    candidate, baseline = sides(ratios, noise=noise)
    found = {} if found_at is None else {RTF.name: found_at}
    (line,) = judge([Pair("cell", candidate, baseline, clean, found)], [RTF])
    return line


def test_identical_sides_pass() -> None:
    """The interval lies under what is allowed."""
    line = answer([1.0] * 6)
    assert line.answer == "pass"
    assert overall([line]) == "pass"


def test_a_slow_side_is_a_regression_only_when_confirmed() -> None:
    """What the first sessions found, fresh ones have to find again."""
    first = answer([1.1] * 6)
    assert (first.answer, suspects([first])) == ("inconclusive", [first])
    assert "not confirmed" in first.why
    assert answer([1.1] * 12, found_at=6).answer == "regression"
    unconfirmed = answer([1.1] * 6 + [1.0] * 6, found_at=6)
    assert unconfirmed.answer == "inconclusive"
    assert "not confirmed" in unconfirmed.why


def test_what_fresh_sessions_do_not_find_again_passes_if_the_interval_is_narrow() -> None:
    """Luck of the first sessions does not count against a candidate for ever."""
    assert answer([1.04] * 6).answer == "inconclusive"
    assert answer([1.04] * 6 + [1.0] * 12, found_at=6).answer == "pass"


def test_each_criterion_has_its_own_first_sessions() -> None:
    """What one criterion found early does not stop the evidence of another from growing."""
    candidate, baseline = sides([1.0] * 6 + [1.1] * 18)
    two = [RTF, replace(RTF, name="first chunk")]
    (rtf, _) = judge([Pair("cell", candidate, baseline, True, {"first chunk": 6})], two)
    assert suspects([rtf]) == [rtf]


def test_a_ghost_that_differs_forbids_a_regression() -> None:
    """Where the baseline differs from itself, nothing can be blamed on the candidate."""
    line = answer([1.1] * 12, clean=False, found_at=6)
    assert line.answer == "inconclusive"
    assert "quieter machine" in line.why


def test_too_wide_is_inconclusive_and_says_what_would_decide() -> None:
    """An interval that reaches over the limit is neither a pass nor a regression."""
    line = answer([0.8, 1.25, 0.9, 1.15, 0.85, 1.2])
    assert line.answer == "inconclusive"
    assert "more budget" in line.why
    assert undecided([line]) == ["cell"]
    assert suspects([line]) == []


def test_a_faster_side_passes() -> None:
    """Getting faster is no regression."""
    assert answer([0.7] * 6).answer == "pass"


@pytest.mark.parametrize("sessions", [1, 3])
def test_few_sessions_decide_nothing_bad(sessions: int) -> None:
    """A regression takes sessions: a single one can prove none."""
    assert answer([1.3] * sessions).answer == "inconclusive"


def pair(name: str, ratio: float) -> Pair:
    """Return two sides after six sessions."""
    candidate, baseline = sides([ratio] * 6)
    return Pair(name, candidate, baseline, clean=True)


def test_many_cells_are_adjusted_for() -> None:
    """The same evidence counts for less among many (Holm)."""
    one = [pair("cell", 1.03)]
    many = one + [pair(str(n), 1.0) for n in range(200)]
    (alone,) = judge(one, [RTF])
    among = judge(many, [RTF])[0]
    assert alone.p is not None
    assert among.p is not None
    assert among.p > 10 * alone.p


def test_false_alarms_are_rare() -> None:
    """Of 500 gates of identical sides on a noisy machine, none is called a regression."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(500):
        lucky = np.exp(rng.normal(0, 0.01, 12))
        line = answer(lucky.tolist(), found_at=6, noise=0.02)
        alarms += line.answer == "regression"
    assert alarms <= 1


def test_what_is_gated() -> None:
    """Processing time has the caller's limits; loading passes unless it is proved slower."""
    found = {each.name: each for each in criteria(margin=0.02, most=0.05)}
    assert set(found) == {"RTF", "front end", "harness", "load", "first chunk"}
    assert (found["RTF"].margin, found["RTF"].most) == (0.02, 0.05)
    assert found["load"].most is None
