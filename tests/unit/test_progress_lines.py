"""Progress where there is no terminal: lines that say how long it will take, and signs of life."""

import pytest

from rtfbench.base.pace import EVERY_S, QUIET_S
from rtfbench.commands.progress import LineProgress


class Clock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


def test_what_is_left_is_told_once_it_is_known(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """No guess at first; then what was told, less what has gone by since, and a range as one."""
    progress = LineProgress(clock)
    clock.now_s += 10
    progress.phase("first")
    progress.left(60.0)
    clock.now_s += 20
    progress.phase("second")
    progress.left(300.0, 90.0)
    progress.phase("third")
    progress.left(150.0, 0.0)
    progress.phase("fourth")
    progress.step("told nowhere")
    assert capsys.readouterr().err.splitlines() == [
        "10 s: first",
        "30 s, about 40 s left: second",
        "30 s, 90 s to 5 min left: third",
        "30 s, at most 2 min left: fourth",
    ]


def test_what_takes_longer_than_was_told_has_no_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the time that was left is over, none is told until more is known."""
    progress = LineProgress(clock)
    progress.left(20.0)
    clock.now_s += 34
    progress.phase("still loading")
    assert capsys.readouterr().err.splitlines() == ["34 s: still loading"]


def test_a_sign_of_life_comes_where_nothing_was_said(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every ten seconds the step is told that goes on; a line in between puts it off."""
    progress = LineProgress(clock)
    clock.now_s += QUIET_S
    progress.phase("loading")
    progress.step("block 2 of 7")
    clock.now_s += EVERY_S - 1
    assert progress.life.look() == 1
    clock.now_s += 1
    assert progress.life.look() == EVERY_S
    clock.now_s += 4
    progress.phase("measuring")
    clock.now_s += 8
    assert progress.life.look() == 2
    assert capsys.readouterr().err.splitlines() == [
        "2 s: loading",
        "12 s: block 2 of 7",
        "16 s: measuring",
    ]


def test_what_ends_at_once_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A line comes after two seconds, of what goes on then."""
    progress = LineProgress(clock)
    progress.phase("reading the plan")
    clock.now_s += QUIET_S - 0.5
    progress.phase("loading")
    assert progress.life.look() == 0.5
    assert not capsys.readouterr().err
    clock.now_s += 0.5
    progress.life.look()
    assert capsys.readouterr().err.splitlines() == ["2 s: loading"]
