"""Progress where there is no terminal: lines that say how long it will take."""

import pytest

from bench.commands.progress import LineProgress


def test_the_rest_is_expected_to_take_as_long_as_what_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A guess at first; then the time that has gone by, over the share that is done."""
    now_s = 100.0
    progress = LineProgress(60.0, clock=lambda: now_s)
    now_s = 110.0
    progress.phase("first")
    progress.advance(0.0)
    now_s = 140.0
    progress.advance(0.25)
    progress.phase("second")
    progress.step("told nowhere")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("up to about 60 s")
    assert lines[1:] == ["10 s of about 60: first", "40 s of about 160: second"]
