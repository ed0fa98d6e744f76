"""`rtfbench explain` on a model with an expensive layer that it does not need."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtfbench.explain import read_graph

Command = Callable[..., "subprocess.CompletedProcess[str]"]
MEL_BINS, CHANNELS, WIDE, EMBED_DIM = 80, 64, 4096, 16
#: What the layer that is not needed makes of all multiplications: nearly all.
LAYERS = {
    "stem.weight": (MEL_BINS, CHANNELS),
    "useless.up.weight": (CHANNELS, WIDE),
    "useless.down.weight": (WIDE, CHANNELS),
    "head.weight": (CHANNELS, EMBED_DIM),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the model; its names are those that an exporter would keep."""
    rng = np.random.default_rng(0)
    weights = {
        name: (rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)
        for name, shape in LAYERS.items()
    }
    nodes = [
        helper.make_node("MatMul", ["feats", "stem.weight"], ["a"], "node_stem"),
        helper.make_node("Relu", ["a"], ["b"], "node_relu"),
        helper.make_node("MatMul", ["b", "useless.up.weight"], ["c"], "node_up"),
        helper.make_node("Relu", ["c"], ["d"], "node_relu_1"),
        helper.make_node("MatMul", ["d", "useless.down.weight"], ["e"], "node_down"),
        helper.make_node("Tanh", ["e"], ["f"], "node_tanh"),
        helper.make_node("ReduceMean", ["f", "frames"], ["g"], "node_mean", keepdims=0),
        helper.make_node("MatMul", ["g", "head.weight"], ["embs"], "node_head"),
    ]
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", MEL_BINS])],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", EMBED_DIM])],
        [
            *(numpy_helper.from_array(values, name) for name, values in weights.items()),
            numpy_helper.from_array(np.array([1]), "frames"),
        ],
    )
    path = tmp_path_factory.mktemp("planted") / "planted.onnx"
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))
    return path


@pytest.fixture(scope="module")
def explained(
    rtfbench: Command, planted: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple["subprocess.CompletedProcess[str]", Path]:
    """Explain it once on two engines."""
    out = tmp_path_factory.mktemp("explained") / "out"
    done = rtfbench("explain", "--model", planted, "--budget", 2, "--seed", 1, "--out", out)
    return done, out


def found_in(out: Path) -> Any:
    """Return what a folder holds."""
    return json.loads((out / "explain.json").read_text(encoding="utf-8"))


def test_the_planted_layer_is_named_first(
    explained: tuple["subprocess.CompletedProcess[str]", Path],
) -> None:
    """The first sentence and the first line of the parts are the layer that is not needed."""
    done, out = explained
    assert done.returncode == 0, done.stderr
    found = found_in(out)
    assert found["blocks"][0]["name"] == "useless"
    first = next(line for line in done.stdout.splitlines() if line.startswith("- "))
    assert "; useless takes " in first
    assert done.stdout == (out / "explain.md").read_text(encoding="utf-8")
    assert (out / "waterfall.png").read_bytes().startswith(b"\x89PNG")


def test_groups_add_up_to_the_engines_time(
    explained: tuple["subprocess.CompletedProcess[str]", Path],
) -> None:
    """Kinds and parts are two ways to cut the same time, that of runs without a profiler."""
    found = found_in(explained[1])
    for index, engine in enumerate(found["engines"]):
        for groups in (found["kinds"], found["blocks"]):
            assert sum(each["ms"][index] for each in groups) == pytest.approx(engine["ms"])
        assert engine["wrong"] == ""
        # Without the profiler's overhead, which others on the machine disturb: most of their run.
        assert 0.5 < engine["told"] / engine["overhead"] <= 1.0


def test_products_are_counted_once_in_every_engine(
    explained: tuple["subprocess.CompletedProcess[str]", Path],
) -> None:
    """However a runtime cuts the model into operators, they ask for the same products."""
    found = found_in(explained[1])
    frames = found["num_frames"]
    macs = frames * sum(np.prod(shape) for name, shape in LAYERS.items() if "head" not in name)
    macs += CHANNELS * EMBED_DIM
    assert found["macs"] == macs
    for engine in found["engines"]:
        assert sum(each["macs"] or 0 for each in engine["operators"]) == macs, engine["engine"]
    linear = next(each for each in found["kinds"] if each["name"] == read_graph.LINEAR)
    assert linear["macs"] == macs


def test_a_first_run_prepares(rtfbench: Command, planted: Path, tmp_path: Path) -> None:
    """Under the published protocol, MNN's first run of a dynamic model has its resize."""
    out = tmp_path / "out"
    done = rtfbench(
        *("explain", "--model", planted, "--engine", "mnn", "--protocol", "published"),
        *("--budget", 1, "--out", out),
    )
    assert done.returncode == 0, done.stderr
    (engine,) = found_in(out)["engines"]
    prepared = [each for each in engine["operators"] if each["kind"] == read_graph.PREPARATION]
    assert [each["name"] for each in prepared] == ["resizeSession"]
    assert prepared[0]["ms"] > 0


def test_bad_input_is_one_line(rtfbench: Command, planted: Path, tmp_path: Path) -> None:
    """What cannot be explained is refused with its cure, and nothing is overwritten."""
    (tmp_path / "explain.json").write_text("{}")
    (tmp_path / "file").write_text("")
    for arguments, cure in (
        (("--model", "resnet35"), "resnet34"),
        (("--model", tmp_path / "a.mnn"), "name the .onnx file"),
        (("--model", planted, "--engine", "onyx"), "no engine 'onyx'"),
        (("--model", planted, "--engine", "torch"), "none of the engines"),
        (("--model", planted, "--out", tmp_path), "--overwrite"),
        (("--model", planted, "--out", tmp_path / "file"), "not a folder"),
        (("--model", planted, "--chunk-samples", 100), "100"),
    ):
        done = rtfbench("explain", *arguments)
        assert done.returncode == 2, arguments
        *_, last = done.stderr.splitlines()
        assert last.startswith("rtfbench: "), done.stderr
        assert cure in last, last
    assert (tmp_path / "explain.json").read_text() == "{}"
    refused = rtfbench("explain", "--model", "resnet35", "--out", tmp_path / "new")
    assert refused.returncode == 2
    assert not (tmp_path / "new").exists()
