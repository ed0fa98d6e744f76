"""What is said where a package is not installed: real processes that cannot import it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.cache import CACHE_VARIABLE

# Python imports a module of this name when it starts, in every process of a run.
HIDING = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""

Without = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def without(tmp_path: Path) -> Without:
    """Return the command line in a process without some packages, with an empty cache."""

    def run(packages: tuple[str, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
        hiding = tmp_path / "hiding"
        hiding.mkdir()
        (hiding / "sitecustomize.py").write_text(HIDING.format(packages=packages))
        return subprocess.run(
            [sys.executable, "-m", "rtfbench.commands", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(hiding),
                CACHE_VARIABLE: str(tmp_path / "cache"),
            },
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("command", "package"), [("run", "torch"), ("extract", "onnxscript"), ("verify", "torch")]
)
def test_a_missing_exporter_is_one_line(
    without: Without, short_speech: Path, tmp_path: Path, command: str, package: str
) -> None:
    """Where a model of the catalog has to be made and cannot be, the extra to install is named."""
    recordings = {
        "run": ("--audio", short_speech, "--out", tmp_path / "run"),
        "extract": ("--weights", "seeded", "--wav", short_speech),
        "verify": ("--weights", "seeded", "--enroll", short_speech, "--test", short_speech),
    }
    done = without(
        (package,), command, "--model", "xvec", "--engine", "onnxruntime", *recordings[command]
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("rtfbench: ")]
    assert line.startswith(f"rtfbench: xvec: making its files needs {package}")
    assert "pip install 'rtfbench[zoo]'" in line


def test_a_missing_runtime_stops_no_other(
    without: Without, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Without MNN, onnxruntime is measured and MNN's rows say what to install."""
    options = ("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", tmp_path / "run")
    done = without(("MNN", "_tools"), "run", "--model", model, "--audio", short_speech, *options)
    assert done.returncode == 1
    assert "onnxruntime | failed" not in done.stdout
    without_mnn = "tiny.onnx, mnn, dynamic; tiny.onnx, mnn-mini, static"
    reason = f"- {without_mnn}: unavailable: No module named 'MNN'; install it with: pip install "
    assert done.stdout.count(reason + "'rtfbench[mnn]'\n") == 1
    the_run, published = done.stdout.split("## As in")
    assert [table.count("| unavailable |") for table in (the_run, published)] == [2, 2]


def test_extract_without_its_runtime_is_one_line(
    without: Without, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A model that cannot be converted because MNN is missing is bad input with its cure."""
    done = without(
        ("MNN", "_tools"), "extract", "--wav", short_speech, "--model", model, "--engine", "mnn"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("rtfbench: mnn: No module named 'MNN'; install")


@pytest.mark.parametrize("package", ["distributed", "cryptography"])
def test_a_missing_cluster_is_one_line(without: Without, tmp_path: Path, package: str) -> None:
    """Without Dask nothing is begun, and the extra to install is named."""
    options = ("--model", "any.onnx", "--result", tmp_path / "e.txt", "--cluster", "local")
    done = without((package,), "extract", "--wav", tmp_path, *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{package} is not installed" in line
    assert "pip install 'rtfbench[cluster]'" in line
