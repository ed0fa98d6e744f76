"""Small ONNX models made by hand: mean over time, then one matrix product."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EMBED_DIM = 16


def write_tiny(
    path: Path,
    *,
    num_frames: int | None = None,
    feat_dim: int = 80,
    inputs: Sequence[str] = ("feats",),
    outputs: Sequence[str] = ("embs",),
    external: bool = False,
) -> Path:
    """Write a model with these inputs and outputs; all outputs but the first are its double."""
    shape: list[int | str] = [1, num_frames] if num_frames else ["B", "T"]
    weight = np.random.default_rng(0).standard_normal((feat_dim, EMBED_DIM)).astype(np.float32)
    deviation = ["deviation"]
    nodes = [
        helper.make_node("Mul", [inputs[0], inputs[0]], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "time_axis"], deviation, keepdims=0),
        helper.make_node("MatMul", ["deviation", "weight"], [outputs[0]]),
        *(helper.make_node("Add", [outputs[0]] * 2, [name]) for name in outputs[1:]),
        *(helper.make_node("Identity", [name], [f"unused_{name}"]) for name in inputs[1:]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(i, TensorProto.FLOAT, [*shape, feat_dim]) for i in inputs],
        [
            helper.make_tensor_value_info(o, TensorProto.FLOAT, [shape[0], EMBED_DIM])
            for o in outputs
        ],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array([1]), "time_axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    # A file that says what it is fed is nothing that a command speaks of.
    helper.set_model_props(model, {"framework": "wespeaker", "feat_dim": str(feat_dim)})
    if external:
        onnx.save(
            model,
            str(path),
            save_as_external_data=True,
            location=f"{path.name}.data",
            size_threshold=1024,
        )
    else:
        onnx.save(model, str(path))
    return path
