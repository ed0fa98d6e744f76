"""The fixture `rtfbench_gate`, as a user's own tests have it: in a pytest process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.measures

#: A small model of the user's own; XVEC on the same engine takes several times as long, which two
#: sessions show: the rest of that budget is for a machine on which others are busy.
TESTS = """
def test_twins(rtfbench_gate):
    rtfbench_gate.not_slower(
        "onnxruntime", than="onnxruntime", model="tiny.onnx", max_regression=0.5, budget_s=12,
        front_end="wespeaker",
    )


def test_slower(rtfbench_gate):
    rtfbench_gate.not_slower(
        "onnxruntime", than="onnxruntime:tiny.onnx", model="xvec", budget_s=120
    )


def test_baseline_file(rtfbench_gate):
    rtfbench_gate.holds("none.toml")


def test_unknown_engine(rtfbench_gate):
    rtfbench_gate.not_slower("onnxruntime", than="nope", max_regression="5%")


def test_of_the_users_own(benchmark):
    benchmark(sum, [1, 2])


def test_the_baseline_of_the_docs(rtfbench_gate):
    rtfbench_gate.holds("baselines/product.toml", budget_s=1)
"""
DOCS = Path(__file__).parents[2] / "docs" / "gate.md"


def write_baseline_of_the_docs(folder: Path, write_tiny_onnx: Callable[..., Path]) -> None:
    """Save the file that the docs show, held against a model file, with the models that it names.

    Pinned packages would have to be fetched.
    """
    for name in ("baselines", "models"):
        (folder / name).mkdir()
    write_tiny_onnx(folder / "models" / "speaker.onnx")
    write_tiny_onnx(folder / "baselines" / "deployed.onnx")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    kept = [line for line in shown.splitlines() if not line.startswith("packages")]
    text = "\n".join(kept).replace("# model_file", "model_file")
    (folder / "baselines" / "product.toml").write_text(text)


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, write_tiny_onnx: Callable[..., Path]
) -> tuple[Path, str]:
    """Run the tests; return their folder and what pytest said."""
    folder = tmp_path_factory.mktemp("users")
    write_tiny_onnx(folder / "tiny.onnx")
    write_baseline_of_the_docs(folder, write_tiny_onnx)
    (folder / "test_speed.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-W", "error", "--benchmark-json=stored.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


def test_twins_do_not_fail(finished: tuple[Path, str]) -> None:
    """The same engine on both sides passes, or is skipped where the machine cannot tell."""
    _, said = finished
    assert "PASSED test_speed.py::test_twins" in said or "Inconclusive" in said
    assert "FAILED test_speed.py::test_twins" not in said


def test_a_slower_candidate_fails_with_the_table(finished: tuple[Path, str]) -> None:
    """The failure shows what was found, and no traceback."""
    _, said = finished
    assert "FAILED test_speed.py::test_slower" in said
    assert "Regression: head is slower" in said
    assert "Traceback" not in said
    assert "pytest_plugin.py" not in said


def test_bad_input_fails_in_one_line(finished: tuple[Path, str]) -> None:
    """The message names the cure."""
    _, said = finished
    for name, message in (
        ("test_baseline_file", "none.toml: cannot read the baseline (No such file or directory)"),
        ("test_unknown_engine", "no engine 'nope'"),
    ):
        shown = said.split(f"_ {name} _")[1].split("\n")[1:]
        assert shown[0].startswith(message)
        assert shown[1].startswith(("___", "---", "==="))
    assert "ERROR" not in said


def test_the_baseline_of_the_docs_is_measured(finished: tuple[Path, str]) -> None:
    """In so little time nothing can be told: the skip has the reason, at the user's own line."""
    _, said = finished
    (line,) = re.findall(r"^SKIPPED .* test_speed\.py:\d+: (.*not judged.*)$", said, re.MULTILINE)
    assert line.startswith(
        "speaker.onnx, onnxruntime, 32000 samples, 1 thread, steady: RTF: not judged: "
    )


def stored(folder: Path) -> dict[str, Any]:
    """Return test name -> what pytest-benchmark stored."""
    content = json.loads((folder / "stored.json").read_text())
    return {each["name"]: each for each in content["benchmarks"]}


def test_times_are_stored_by_pytest_benchmark(finished: tuple[Path, str]) -> None:
    """A round is a measured utterance, in seconds a chunk; the answer stands beside it."""
    found = stored(finished[0])
    measured = {"test_twins", "test_slower", "test_the_baseline_of_the_docs"}
    assert set(found) == {*measured, "test_of_the_users_own"}
    slower, twins = found["test_slower"], found["test_twins"]
    assert slower["stats"]["rounds"] > 12
    assert 0 < twins["stats"]["median"] < slower["stats"]["median"] < 1
    (rtf,) = (line for line in slower["extra_info"]["rtfbench"] if line["criterion"] == "RTF")
    assert rtf["answer"] == "regression"
    assert rtf["ci95"][0] > 1.02
    # Both tests time the small model, half a minute apart: a host drifts by up to a factor of two.
    stored_ratio = slower["stats"]["median"] / twins["stats"]["median"]
    assert 0.5 < rtf["ratio"] / stored_ratio < 2


def test_other_benchmarks_keep_their_clock(finished: tuple[Path, str]) -> None:
    """A benchmark without the fixture is timed by pytest-benchmark itself."""
    found = stored(finished[0])["test_of_the_users_own"]
    assert found["extra_info"] == {}
    assert 0 < found["stats"]["median"] < 0.1
    assert "perf_counter" in str(found["options"]["timer"])


def test_loading_the_plugin_is_light() -> None:
    """Every pytest run in the environment loads it, so it imports nothing heavy."""
    heavy = {"numpy", "scipy", "torch", "onnxruntime", "MNN", "pydantic"}
    code = "import sys, rtfbench.testing.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "rtfbench.testing.pytest_plugin" in done.stdout.split()
    assert not heavy & set(done.stdout.split())
