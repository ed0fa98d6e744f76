"""The gate from end to end: pinned versions, revisions, and runs that are stored."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rtfbench.base.packages import lay_out

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


def test_twins_are_no_regression(spawned: Command, tmp_path: Path) -> None:
    """The same engine on both sides passes, or the machine cannot tell; it never fails."""
    junit, comment = tmp_path / "gate.xml", tmp_path / "gate.md"
    done = spawned(
        *("compare", "onnxruntime", "onnxruntime", "--model", "xvec", "--budget", 10),
        *("--also", "front-end,load,memory", "--junit", junit, "--comment", comment),
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
    gate = [sys.executable, "-m", "rtfbench.commands", "gate"]
    done = subprocess.run(
        [*gate, "--baseline", "base.toml", "--budget", "36", "--also", "front-end"],
        cwd=clone,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(lay_out(clone, clone.with_name("code")))},
        check=False,
        timeout=300,
    )
    rows = [line for line in done.stdout.splitlines() if "front end" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression" in rows[0]
    assert "slower by more than 5%" in rows[0]
