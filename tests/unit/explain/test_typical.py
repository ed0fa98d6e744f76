"""One run stands for many, whatever else the machine did meanwhile."""

import pytest

from rtfbench.engines.profiling import OperatorTime, ProfiledRun
from rtfbench.explain.process import mean_of, typical


def run(wall_ns: int, *ns: int) -> ProfiledRun:
    """Return a run of operators of one name and type."""
    return ProfiledRun(wall_ns, tuple(OperatorTime("a", "Conv", each) for each in ns))


def times(found: tuple[OperatorTime, ...]) -> list[int]:
    """Return the operators' nanoseconds."""
    return [each.ns for each in found]


def test_a_spike_in_one_operator_changes_nothing() -> None:
    """Now this operator takes ten times as long and now that: each is the median of its own."""
    quiet = [run(1100, 200, 300, 500)] * 8
    spikes = [run(2900, 2000, 300, 500), run(3800, 200, 3000, 500), run(5600, 200, 300, 5000)]
    found = typical([*quiet, *spikes])
    assert times(found.operators) == pytest.approx([200, 300, 500], rel=0.01)
    assert found.wall_ns == 1100


def test_a_slow_half_changes_levels_and_no_shares() -> None:
    """A machine that is half as fast for a while slows all operators alike."""
    found = typical([run(1000, 200, 300, 500), run(2000, 400, 600, 1000)])
    a, b, c = times(found.operators)
    assert (b / a, c / a) == pytest.approx((1.5, 2.5), rel=0.01)
    assert a + b + c == pytest.approx(1500, rel=0.01)


def test_operators_add_up_to_what_the_runs_tell() -> None:
    """What is between operators stays between them."""
    found = typical([run(1000, 300, 600)] * 3)
    assert sum(times(found.operators)) == 900


def test_an_operator_that_most_runs_lack_takes_nothing() -> None:
    """A runtime may change its graph after the first run."""
    found = typical([run(1000, 500, 500), run(1000, 1000), run(1000, 1000)])
    assert times(found.operators) == [1000, 0]


def test_sessions_count_the_same() -> None:
    """The mean of sessions, whatever number of runs each has."""
    found = mean_of([typical([run(1000, 400)] * 9), typical([run(2000, 800)])])
    assert (found.wall_ns, times(found.operators), found.runs) == (1500, [600], 10)
