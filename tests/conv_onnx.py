"""A small convolutional model made by hand: features [B, T, 80] to an embedding [B, 8]."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

CHANNELS = 8
#: One of the second convolution's weights, which no other one equals.
PLANTED = np.float32(0.12345679)


def write_conv(path: Path, *, num_frames: int | None = None, pool: bool = False) -> Path:
    """Write two branches of convolutions that are added, and averaged over time.

    Args:
        path: where to.
        num_frames: fixes the length, None leaves it open.
        pool: average windows of three frames before, with one axis.
    """
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> npt.NDArray[np.float32]:
        drawn: npt.NDArray[np.float32] = rng.standard_normal(shape).astype(np.float32)
        return drawn / np.float32(shape[1] ** 0.5)

    second = weight(CHANNELS, CHANNELS, 1)
    second[3, 5, 0] = PLANTED
    stored = {
        "w1": weight(CHANNELS, 80, 1),
        "w2": second,
        "w3": weight(CHANNELS, CHANNELS, 1),
        "w4": weight(CHANNELS, CHANNELS),
    }
    node = helper.make_node
    before: list[NodeProto] = [
        node("Transpose", ["feats"], ["turned"], "turn", perm=[0, 2, 1]),
        node("Conv", ["turned", "w1"], ["first"], "conv1", kernel_shape=[1]),
        node("Relu", ["first"], ["rectified"], "relu1"),
    ]
    last = "rectified"
    if pool:
        before.append(
            node("AveragePool", [last], ["pooled"], "pool1", kernel_shape=[3], strides=[3])
        )
        last = "pooled"
    nodes = [
        *before,
        node("Conv", [last, "w2"], ["second"], "conv2", kernel_shape=[1]),
        node("Sigmoid", ["second"], ["gate"], "sigmoid1"),
        node("Conv", [last, "w3"], ["third"], "conv3", kernel_shape=[1]),
        node("Mul", ["third", "gate"], ["gated"], "mul1"),
        node("ReduceMean", ["gated", "axis"], ["mean"], "mean1", keepdims=0),
        node("MatMul", ["mean", "w4"], ["embs"], "matmul1"),
    ]
    shape: list[int | str] = [1, num_frames] if num_frames else ["B", "T"]
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, [*shape, 80])],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, [shape[0], CHANNELS])],
        [
            *(numpy_helper.from_array(value, name) for name, value in stored.items()),
            numpy_helper.from_array(np.array([2]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
