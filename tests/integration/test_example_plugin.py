"""The example of a plug-in: a package of its own, built, installed and used as its README says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "engine-plugin"
MOST_LINES = 100

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def in_its_environment(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs Python in the example's folder, where it is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    source, site = folder / "source", folder / "site"
    shutil.copytree(EXAMPLE, source)  # building leaves folders beside what it builds
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    alone = ("--no-deps", "--no-index", "--no-build-isolation", "--target", site)
    subprocess.run([*pip, *map(str, alone), str(source)], check=True)

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(site)},
            cwd=source,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_it_passes_its_own_test(in_its_environment: Run) -> None:
    """The conformance suite of the installed package passes on it, and skips nothing."""
    done = in_its_environment("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_conformance.py")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_it_is_measured_beside_another(
    in_its_environment: Run,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """A run has its row, with an embedding that agrees."""
    out = tmp_path / "run"
    done = in_its_environment(
        *("-m", "rtfbench.commands", "run", "--model", model, "--audio", short_speech),
        *("--out", out),
        *("--engine", "onnx-reference", "--engine", "onnxruntime", "--protocol", "steady"),
        *("--budget", 0.1, "--sessions", 1),
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((out / "summary.json").read_text())["cells"]
    assert {(cell["engine"], cell["status"], cell["parity"]["ok"]) for cell in cells} == {
        ("onnx-reference", "ok", True),
        ("onnxruntime", "ok", True),
    }


def test_it_is_short() -> None:
    """The package and its test are less than a hundred lines."""
    files = (EXAMPLE / "pyproject.toml", *EXAMPLE.glob("*.py"))
    assert sum(len(path.read_text().splitlines()) for path in files) < MOST_LINES
