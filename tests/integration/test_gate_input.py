"""What the gate refuses, and runs that are stored: nothing is compared by time here."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.gate import sides

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gate",), "name one of --baseline FILE and --against-rev"),
        (("gate", "--against-rev", "no-such-branch"), "no such revision"),
        (("gate", "--baseline", "none.toml"), "none.toml: cannot read"),
        (("compare", "mnn@0.0.0", "mnn"), "MNN==0.0.0: cannot be installed"),
        (("compare", "nope", "mnn"), "no engine 'nope'"),
        (("compare", "mnn", "mnn", "--model", "resnet35"), "did you mean resnet"),
        (("compare", "mnn", "mnn", "--chunk-samples", "10"), "too short for one frame"),
        (("compare", "mnn", "mnn", "--github-summary"), "GITHUB_STEP_SUMMARY is not set"),
        (("doctor", "--engine", "mnn[x"), "write name or name[key=value,...]"),
    ],
)
def test_bad_input_is_one_line(
    rtfbench: Command,
    spawned: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    """Status 2, one line, no traceback."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    command = spawned if arguments == ("gate",) else rtfbench  # one in a process of its own
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_keeps_git_from_a_checkout_is_told(
    rtfbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In git's words: there is none, or it is somebody else's, and no revision is to blame."""
    monkeypatch.setattr(sides, "ROOT", tmp_path)
    done = rtfbench("gate", "--against-rev", "HEAD")
    assert done.returncode == 2
    assert f"HEAD: git opens no checkout in {tmp_path}: fatal: not a git repository" in done.stderr


def test_finished_runs_are_compared_by_ratios(rtfbench: Command, six_sessions: Path) -> None:
    """A run against itself passes, and the text says why absolute times are left out."""
    done = rtfbench("compare", six_sessions, six_sessions, "--max-regression", "50%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Absolute times are not compared" in done.stdout
