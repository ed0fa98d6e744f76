"""The whole method on simulated machines with a known truth."""

import pytest

from tests.validation.simulate import Result, SimulatedMachine, try_stopping, try_variant

#: Drift by a random walk, a neighbour at x 1.6, spikes in 8 % of the slots, luck a process.
TRIALS = 1000


@pytest.fixture(scope="module")
def as_built() -> Result:
    """Return what the method as it is amounts to."""
    return try_variant("as built", trials=TRIALS)


def test_intervals_hold_as_often_as_they_say(as_built: Result) -> None:
    """95 % of the intervals hold the truth, at the number of sessions in use."""
    assert 0.93 <= as_built.coverage <= 0.97


def test_a_fixed_order_breaks_it() -> None:
    """Whoever always goes first gets the worst of each session's start."""
    assert try_variant("fixed order", trials=TRIALS).coverage < 0.85


def test_an_unpaired_test_breaks_it(as_built: Result) -> None:
    """Drift that both share counts as noise: intervals hold too often, being twice as wide."""
    found = try_variant("unpaired", trials=TRIALS)
    assert found.coverage > 0.98
    assert found.half_width > 1.5 * as_built.half_width


def test_means_break_it(as_built: Result) -> None:
    """A few slots beside a neighbour decide a mean."""
    found = try_variant("means", trials=TRIALS)
    assert found.coverage > 0.97
    assert found.half_width > 2 * as_built.half_width


@pytest.mark.parametrize("sessions", [2, 3, 12])
def test_other_numbers_of_sessions_hold_too(sessions: int) -> None:
    """Few sessions give wide intervals, never ones that miss too often."""
    assert try_variant("as built", sessions=sessions, trials=300).coverage >= 0.92


def test_stopping_when_it_is_precise_enough_holds() -> None:
    """Looks are paid for: runs that end at the look they like hold the truth as often."""
    machine = SimulatedMachine(
        walk=0.004, neighbour_comes=0.01, spike=0.2, start=0.1, process_luck=0.004
    )
    assert try_stopping(0.01, machine=machine, trials=300).coverage >= 0.93
