"""Products and parameters of operators that users' files have, counted by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtfbench.models.onnx_graph import GraphCounts, count

FRAMES, MELS = 20, 8
Weights = dict[str, np.ndarray[Any, np.dtype[Any]]]


def counted(
    nodes: Sequence[onnx.NodeProto],
    weights: Weights,
    *,
    features: Sequence[int | str] = (1, "T", MELS),
) -> GraphCounts:
    """Return what one chunk through these nodes costs; the last one makes the output."""
    graph = helper.make_graph(
        nodes,
        "made by hand",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, [1, "T", MELS])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return count(helper.make_model(graph, opset_imports=opsets, ir_version=8), "feats", FRAMES)


def ones(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return weights of float32."""
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrences_multiply_input_and_state(kind: str, gates: int, directions: int) -> None:
    """T·D·gates·H·(I + H): both are weighted at every step, for every gate and direction."""
    hidden = 5
    direction = "bidirectional" if directions == 2 else "forward"
    weights = {
        "w": ones(directions, gates * hidden, MELS),
        "r": ones(directions, gates * hidden, hidden),
    }
    turn = helper.make_node("Transpose", ["feats"], ["steps"], perm=[1, 0, 2])
    node = helper.make_node(
        kind, ["steps", "w", "r"], ["y"], hidden_size=hidden, direction=direction
    )
    found = counted([turn, node], weights)
    assert found.macs == FRAMES * directions * gates * hidden * (MELS + hidden)
    assert found.params == directions * gates * hidden * (MELS + hidden)
    assert found.uncounted == ()


def test_a_transposed_convolution_is_exact() -> None:
    """Every input value meets the whole kernel, whatever the stride leaves of it."""
    turn = helper.make_node("Transpose", ["feats"], ["channels"], perm=[0, 2, 1])
    node = helper.make_node("ConvTranspose", ["channels", "w"], ["y"], strides=[2], pads=[1, 1])
    found = counted([turn, node], {"w": ones(MELS, 6, 3)})
    assert found.macs == MELS * FRAMES * 6 * 3


def test_a_sum_of_products_is_every_combination() -> None:
    """Einsum of two factors; three would depend on the order, and leave the total unknown."""
    two = helper.make_node("Einsum", ["feats", "w"], ["y"], equation="btm,mk->btk")
    found = counted([two], {"w": ones(MELS, 7)})
    assert (found.macs, found.params) == (FRAMES * MELS * 7, MELS * 7)
    three = helper.make_node("Einsum", ["feats", "w", "v"], ["y"], equation="btm,mk,kj->btj")
    unknown = counted([three], {"w": ones(MELS, 7), "v": ones(7, 2)})
    assert (unknown.macs, unknown.flops) == (None, None)
    assert unknown.uncounted == ("Einsum x1",)


def test_integers_are_counted_as_what_they_stand_for() -> None:
    """An int8 file in QDQ has the parameters and products of its float32 one, and no scales."""
    nodes = [
        helper.make_node("Transpose", ["feats"], ["channels"], perm=[0, 2, 1]),
        helper.make_node("QuantizeLinear", ["channels", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("DequantizeLinear", ["w8", "ws", "wz"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["b32", "bs", "bz"], ["b"], axis=0),
        helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1]),
    ]
    weights: Weights = {
        "s": np.array(0.1, np.float32),
        "z": np.array(128, np.uint8),
        "w8": np.ones((16, MELS, 3), np.int8),
        "ws": ones(16),
        "wz": np.zeros(16, np.int8),
        "b32": np.ones(16, np.int32),
        "bs": ones(16),
        "bz": np.zeros(16, np.int32),
    }
    found = counted(nodes, weights)
    assert found.params == 16 * MELS * 3 + 16
    assert found.macs == FRAMES * 16 * MELS * 3
    assert found.uncounted == ()


def test_an_operator_that_multiplies_and_is_not_known_leaves_no_total() -> None:
    """A rate of the rest would be too low, so there is none."""
    node = helper.make_node(
        "Attention", ["feats", "w", "b"], ["y"], domain="com.microsoft", num_heads=2
    )
    found = counted([node], {"w": ones(MELS, 3 * MELS), "b": ones(3 * MELS)})
    assert found.macs is None
    assert found.uncounted == ("Attention x1",)
