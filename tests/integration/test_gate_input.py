"""What the gate refuses, and runs that are stored: nothing is compared by time here."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
        (("doctor", "--engine", "mnn[x"), "write name or name[key=value,...]"),
    ],
)
def test_bad_input_is_one_line(
    rtfbench: Command, spawned: Command, arguments: tuple[str, ...], message: str
) -> None:
    """Status 2, one line, no traceback."""
    command = spawned if arguments == ("gate",) else rtfbench  # one in a process of its own
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_finished_runs_are_compared_by_ratios(
    rtfbench: Command, short_speech: Path, tmp_path: Path
) -> None:
    """A run against itself passes, and the text says why absolute times are left out."""
    out = tmp_path / "run"
    rtfbench(
        *("run", "--model", "xvec", "--engine", "onnxruntime", "--engine", "mnn"),
        *("--protocol", "steady", "--audio", short_speech, "--budget", 3, "--out", out),
    )
    done = rtfbench("compare", out, out, "--max-regression", "50%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Absolute times are not compared" in done.stdout
