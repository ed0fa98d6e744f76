"""What OpenVINO does on CPUs without bfloat16: its own switches hold it to their instructions."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from tests.other_cpus import LEVELS, ROOT, switches

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="x86's instruction sets")


def on_cpu(level: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a module of Python as on a CPU of that level."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **switches(level), "RTFBENCH_TEST_ENGINE": "openvino"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("level", LEVELS)
def test_openvino_conforms(level: str) -> None:
    """The precisions that it lists there are computed in."""
    chosen = ("-k", "precisions", "-p", "no:cacheprovider")
    done = on_cpu(level, "pytest", "-q", *chosen, "tests/conformance/test_engines.py")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("level", LEVELS)
def test_bf16_is_unsupported_with_the_reason(level: str, model: Path, tmp_path: Path) -> None:
    """Its row says what the CPU lacks, the status 1 that there is such a row; others are ok."""
    names = ("openvino", "openvino:bf16", "openvino:int8")
    done = on_cpu(
        level,
        *("rtfbench.commands", "run", "--model", model, "--protocol", "steady", "--budget", 0.2),
        *(part for name in names for part in ("--engine", name)),
        *("--audio", sorted(DEFAULT_SPEECH.glob("*.flac"))[0], "--sessions", 1),
        *("--out", tmp_path / "run", "--bare"),
    )
    assert done.returncode == 1, done.stderr
    cells = json.loads((tmp_path / "run" / "summary.json").read_text())["cells"]
    rows = {row["precision"]: row for row in cells}
    assert {name: row["status"] for name, row in rows.items()} == {
        "float32": "ok",
        "bf16": "unsupported",
        "int8": "ok",
    }
    assert "no avx512_bf16" in rows["bf16"]["reason"]
