"""`explain --where-wrong` on operators that are known to be wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.conv_onnx import PLANTED, write_conv

Command = Callable[..., "subprocess.CompletedProcess[str]"]

pytest.importorskip("onnxruntime")


@pytest.fixture
def search(
    rtfbench: Command, cache: Path, tmp_path: Path
) -> Callable[..., tuple[dict[str, Any], "subprocess.CompletedProcess[str]"]]:
    """Return a function that searches one engine, and returns what it found."""

    def run(*arguments: object) -> tuple[dict[str, Any], "subprocess.CompletedProcess[str]"]:
        out = tmp_path / "out"
        done = rtfbench("explain", "--where-wrong", "--out", out, "--overwrite", *arguments)
        assert "results:" in done.stderr, done.stderr
        (finding,) = json.loads((out / "where-wrong.json").read_text())["cells"]
        assert (out / "where-wrong.md").read_text() == done.stdout
        return finding, done

    return run


def names(finding: dict[str, Any]) -> list[str]:
    """Return the names of a finding's operators."""
    return [each["name"] for each in finding["operators"]]


def test_the_pooling_that_a_converter_gets_wrong(search: Any, tmp_path: Path) -> None:
    """MNN's static models pool one axis wrongly; the script that is saved shows it alone."""
    pytest.importorskip("MNN")
    model = write_conv(tmp_path / "conv.onnx", pool=True)
    repro = tmp_path / "repro"
    finding, done = search("--model", model, "--engine", "mnn-mini", "--save-repro", repro)
    assert done.returncode == 1
    assert names(finding) == ["pool1"]
    assert finding["given"] == [{"name": "rectified", "shape": [1, 8, 198]}]
    assert finding["tensor"] == {"name": "pooled", "shape": [1, 8, 66]}
    assert (finding["needed"], finding["tensor_error"] > 0.1) == (1, True)
    assert "AveragePool `pool1`" in done.stdout
    assert "Alone, on the reference's input, it is wrong too" in done.stdout
    folder = repro / "mnn-mini-static"
    cut = onnx.load(str(folder / "operator.onnx"))
    onnx.checker.check_model(cut)
    assert [node.op_type for node in cut.graph.node] == ["AveragePool"]
    script = (folder / "reproduce.py").read_text()
    assert "rtfbench" not in script
    assert "bench" not in script
    ran = subprocess.run(
        [sys.executable, "reproduce.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert float(ran.stdout.split("largest error ")[-1].split()[0]) > 0.1


def test_an_engine_that_is_right(search: Any, tmp_path: Path) -> None:
    """There is nothing to search, and the exit status is 0."""
    model = write_conv(tmp_path / "conv.onnx", pool=True)
    finding, done = search("--model", model, "--engine", "onnxruntime")
    assert (done.returncode, finding["wrong"], finding["tensor"]) == (0, False, None)


def test_one_weight_changed_in_a_converted_file(
    search: Any, rtfbench: Command, tmp_path: Path
) -> None:
    """The convolution that has it is named, and that a file made anew is right."""
    pytest.importorskip("MNN")
    model = write_conv(tmp_path / "conv.onnx")
    made = tmp_path / "made.mnn"
    done = rtfbench("export", "--onnx", model, "--format", "mnn", "--output", made)
    assert done.returncode == 0, done.stderr
    content = made.read_bytes()
    assert content.count(PLANTED.tobytes()) == 1
    made.write_bytes(content.replace(PLANTED.tobytes(), np.float32(-9).tobytes()))
    finding, done = search("--model", made, "--reference", model, "--engine", "mnn")
    assert done.returncode == 1
    assert names(finding) == ["conv2"]
    assert "Conv `conv2` (w2)" in done.stdout
    assert finding["given"] == [{"name": "rectified", "shape": [1, 8, 198]}]
    assert "converted anew from the reference, it is right" in done.stdout.lower()


def test_one_weight_changed_in_an_onnx_file(search: Any, tmp_path: Path) -> None:
    """The same for a runtime that shows tensors as outputs."""
    model = write_conv(tmp_path / "conv.onnx")
    graph = onnx.load(str(model))
    (stored,) = (each for each in graph.graph.initializer if each.name == "w2")
    weight = numpy_helper.to_array(stored).copy()
    weight[3, 5, 0] = -9
    stored.CopyFrom(numpy_helper.from_array(weight, "w2"))
    changed = tmp_path / "changed.onnx"
    onnx.save(graph, str(changed))
    finding, done = search("--model", changed, "--reference", model, "--engine", "onnxruntime")
    assert done.returncode == 1
    assert names(finding) == ["conv2"]
    assert finding["tensor"]["shape"] == [1, 8, 198]


def test_wrong_in_context_only(search: Any, tmp_path: Path) -> None:
    """An operator that is right alone is told apart, with the smallest model that is wrong."""
    model = write_conv(tmp_path / "conv.onnx")
    repro = tmp_path / "repro"
    finding, done = search("--model", model, "--engine", "faulty-fusion", "--save-repro", repro)
    assert names(finding) == ["mul1"]
    assert finding["alone_error"] < 1e-3
    assert finding["needed"] == 3
    cut = onnx.load(str(repro / "faulty-fusion-dynamic" / "operator.onnx"))
    assert {node.name for node in cut.graph.node} == {"sigmoid1", "conv3", "mul1"}
    assert "wrong in context only" in done.stdout
    # A dynamic model's cut is dynamic too: the frames of what it takes are open.
    shapes = [
        [size.dim_value or size.dim_param for size in port.type.tensor_type.shape.dim]
        for port in cut.graph.input
    ]
    assert all(shape[1] == 8 and isinstance(shape[2], str) for shape in shapes)


def test_a_crash_is_a_result(search: Any, tmp_path: Path) -> None:
    """The operator that kills the process is named, and how it died."""
    model = write_conv(tmp_path / "conv.onnx", pool=True)
    finding, done = search("--model", model, "--engine", "faulty-pool")
    assert names(finding) == ["pool1"]
    assert "SIGSEGV" in finding["tensor_reason"]
    assert "does not say how a script runs a model" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--engine", "faulty-missing"), "not searched; no runtime here"),
        (("--engine", "null"), "not searched; null computes nothing"),
        (("--engine", "mnn-mini", "--form", "dynamic"), "not searched; mnn-mini needs a static"),
    ],
)
def test_what_cannot_be_searched_is_said(
    search: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """It is not called wrong, and not right either."""
    finding, done = search("--model", write_conv(tmp_path / "conv.onnx"), *arguments)
    assert said in done.stdout
    assert (finding["wrong"], finding["error"], done.returncode) == (False, None, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reference", "MODEL"), "--reference and --save-repro need --where-wrong"),
        (("--where-wrong", "--model", "made.mnn"), "add --reference FILE.onnx"),
        (("--where-wrong", "--save-repro", "FULL"), "not empty; name another --save-repro"),
        (("--where-wrong", "--save-repro", "MODEL"), "not a folder; name another --save-repro"),
        (("--where-wrong", "--model", "xvec", "--reference", "MODEL"), "xvec is no model file"),
    ],
)
def test_refusals(rtfbench: Command, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """One line that names the option, and exit status 2."""
    model = write_conv(tmp_path / "conv.onnx")
    places = {"MODEL": str(model), "FULL": str(tmp_path)}
    done = rtfbench("explain", *(places.get(each, each) for each in arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
