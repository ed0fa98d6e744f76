"""The gate from end to end: pinned versions, revisions, and runs that are stored."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.measures

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]

#: Makes the front end take twice as long, for the same features.
SLOWER = """

_once = Fbank.__call__


def _twice(self, samples):  # type: ignore[no-untyped-def]
    _once(self, samples)
    return _once(self, samples)


Fbank.__call__ = _twice  # type: ignore[method-assign]
"""


def test_twins_are_no_regression(rtfbench: Command, tmp_path: Path) -> None:
    """The same engine on both sides passes, or the machine cannot tell; it never fails."""
    junit, comment = tmp_path / "gate.xml", tmp_path / "gate.md"
    done = rtfbench(
        *("compare", "onnxruntime", "onnxruntime", "--model", "xvec", "--budget", 16),
        *("--junit", junit, "--comment", comment),
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    suite = ET.parse(junit).getroot()
    assert suite.get("failures") == "0"
    assert {case.get("name") for case in suite} >= {"RTF", "front end", "load", "peak RSS"}
    assert comment.read_text() in done.stdout + "\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of this repository."""
    folder = tmp_path_factory.mktemp("clone") / "clone"
    made = subprocess.run(
        ["git", "clone", "--quiet", str(ROOT), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no git checkout here: {made.stderr.strip()}")
    return folder


def test_a_slower_front_end_is_found_between_revisions(clone: Path) -> None:
    """What is committed is the baseline; a front end that takes twice as long is a regression."""
    with (clone / "frontends" / "fbank.py").open("a") as file:
        file.write(SLOWER)
    (clone / "base.toml").write_text(
        'revision = "HEAD"\nmodels = ["xvec"]\nengines = ["onnxruntime"]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "gate", "--baseline", "base.toml", "--budget", "36"],
        cwd=clone,
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
        timeout=300,
    )
    rows = [line for line in done.stdout.splitlines() if "front end" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression" in rows[0]
    assert "slower by more than 5%" in rows[0]


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
def test_bad_input_is_one_line(rtfbench: Command, arguments: tuple[str, ...], message: str) -> None:
    """Status 2, one line, no traceback."""
    done = rtfbench(*arguments)
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
        *("--protocol", "steady", "--audio", short_speech, "--budget", 6, "--out", out),
    )
    done = rtfbench("compare", out, out, "--max-regression", "50%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Absolute times are not compared" in done.stdout
