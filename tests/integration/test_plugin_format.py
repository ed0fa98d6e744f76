"""An engine from outside the package that reads files of a format of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "tests" / "plugins"
SUITE = "tests/conformance/test_engines.py"
Command = Callable[..., "subprocess.CompletedProcess[str]"]

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_a_format_that_an_engine_brings(
    rtfbench: Command,
    write_tiny_onnx: Callable[..., Path],
    short_speech: Path,
    cache: Path,
    tmp_path: Path,
    form: str,
) -> None:
    """Its file is made from the user's ONNX file, and its embedding is held against that."""
    model = write_tiny_onnx(tmp_path / f"tiny_{form}.onnx", external=form == "static")
    done = rtfbench(
        *("run", "--engine", "toy", "--model", model, "--form", form, "--protocol", "steady"),
        *("--audio", short_speech, "--budget", 0.1, "--sessions", 1, "--out", tmp_path / "run"),
        "--bare",
    )
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads((tmp_path / "run" / "summary.json").read_text())["cells"]
    assert (cell["engine"], cell["status"], cell["form"]) == ("toy", "ok", form)
    assert cell["parity"]["ok"]
    assert cell["effective"]["threads"] == cell["effective"]["threads_at_work"] == 1
    (made,) = (cache / "models").glob(f"tiny_{form}_onnx-*/*.toy")
    assert made.read_bytes().startswith(b"TOY1")


def with_plugins(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a process that finds the plug-ins."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "RTFBENCH_TEST_ENGINE": "toy", "PYTHONPATH": str(PLUGINS)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_engine_from_outside_meets_the_suite() -> None:
    """The suite that every engine passes runs on a plug-in by its name alone."""
    done = with_plugins("-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", SUITE)
    assert done.returncode == 0, done.stdout
    assert " skipped" not in done.stdout, "it takes both forms and refuses all that is asked"
    assert " passed" in done.stdout


def test_a_version_of_its_runtime_can_be_pinned() -> None:
    """`engine@version` asks for the distribution that the engine names."""
    code = (
        "from rtfbench.gate.baseline import parse_side; print(*parse_side('toy@1.22.0').packages)"
    )
    assert with_plugins("-c", code).stdout == "onnxruntime==1.22.0\n"
