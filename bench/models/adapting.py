"""Graphs of other shapes than features [B, T, M] to an embedding [B, D], wrapped into that.

Whatever runs a model, and whatever converts it, then meets one shape. A waveform is [B, N, 1].
"""

import math

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from rtfbench.models.ports import FLOATS, Ports

FEATURES = "rtfbench_features"
EMBEDDING = "rtfbench_embedding"


def is_plain(model: ModelProto, ports: Ports) -> bool:
    """Say whether a graph needs no wrapping."""
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    types |= {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
    rank = _rank(model.graph, ports.output_name)
    return (
        ports.layout == "BTM"
        and ports.lengths_name is None
        and types[ports.input_name] == types[ports.output_name] == TensorProto.FLOAT
        and rank in (None, 2)
    )


def wrapped(
    model: ModelProto, ports: Ports, *, num_frames: int | None, feat_dim: int
) -> ModelProto:
    """Return the graph with one input, features [B, T, M], and one output, [B, D], in float32.

    Args:
        model: as it came; not changed.
        ports: what of it is fed and read.
        num_frames: T where it is fixed.
        feat_dim: M.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    inputs = {value.name: value for value in graph.input}
    outputs = {value.name: value for value in graph.output}
    kind = inputs[ports.input_name].type.tensor_type.elem_type
    before, tensor = [], FEATURES
    if ports.layout in ("BMT", "B1N"):
        before.append(helper.make_node("Transpose", [tensor], ["rtfbench_turned"], perm=[0, 2, 1]))
        tensor = "rtfbench_turned"
    elif ports.layout == "BN":
        before.append(helper.make_node("Flatten", [tensor], ["rtfbench_samples"], axis=1))
        tensor = "rtfbench_samples"
    before.append(_cast(tensor, ports.input_name, None if kind == TensorProto.FLOAT else kind))
    if ports.lengths_name is not None:
        type_ = inputs[ports.lengths_name].type.tensor_type.elem_type
        before += _lengths(graph, ports, type_)
    after, tensor = [], ports.output_name
    if outputs[ports.output_name].type.tensor_type.elem_type != TensorProto.FLOAT:
        after.append(helper.make_node("Cast", [tensor], ["rtfbench_float"], to=TensorProto.FLOAT))
        tensor = "rtfbench_float"
    after.append(helper.make_node("Flatten", [tensor], [EMBEDDING], axis=1))
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    batch = 1 if num_frames is not None else "B"
    fed = {ports.input_name, ports.lengths_name}
    kept = [value for value in graph.input if value.name not in fed]
    del graph.input[:]
    sizes = [batch, num_frames if num_frames is not None else "T", feat_dim]
    graph.input.extend([helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, sizes), *kept])
    dims = [dim.dim_value for dim in outputs[ports.output_name].type.tensor_type.shape.dim[1:]]
    size = math.prod(dims) or "D"
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, [batch, size]))
    # Sizes that were inferred before would contradict those that follow now.
    del graph.value_info[:]
    return made


def as_nemo(model: ModelProto) -> ModelProto:
    """Return a graph of features [B, T, M] as NeMo exports one, which sherpa-onnx calls so.

    It takes features [B, M, T] and lengths, and has the embedding behind another output.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {each.name for each in graph.initializer}
    features = next(each for each in graph.input if each.name not in constants)
    batch, frames, bins = features.type.tensor_type.shape.dim
    sizes = [each.dim_value or each.dim_param or None for each in (batch, bins, frames)]
    turned = helper.make_tensor_value_info("rtfbench_signal", TensorProto.FLOAT, sizes)
    lengths = helper.make_tensor_value_info("rtfbench_length", TensorProto.INT64, sizes[:1])
    graph.node.insert(
        0, helper.make_node("Transpose", [turned.name], [features.name], perm=[0, 2, 1])
    )
    graph.node.append(_cast(graph.output[0].name, "rtfbench_logits", None))
    graph.input.remove(features)
    graph.input.extend([turned, lengths])
    logits = ValueInfoProto()
    logits.CopyFrom(graph.output[0])
    logits.name = "rtfbench_logits"
    graph.output.insert(0, logits)
    return made


def _lengths(graph: GraphProto, ports: Ports, kind: int) -> list[NodeProto]:
    """Return nodes that make the input of lengths from the shape of the features."""
    whole = kind not in FLOATS
    constants = {"rtfbench_first": np.array([0]), "rtfbench_second": np.array([1])}
    if ports.lengths == "shares":
        constants["rtfbench_whole"] = np.array([1.0], np.float32)
    elif ports.lengths == "samples":
        constants["rtfbench_shift"] = np.array([ports.frame_shift])
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    nodes = [
        helper.make_node("Shape", [FEATURES], ["rtfbench_shape"]),
        helper.make_node("Gather", ["rtfbench_shape", "rtfbench_first"], ["rtfbench_batch"]),
        helper.make_node("Gather", ["rtfbench_shape", "rtfbench_second"], ["rtfbench_frames"]),
    ]
    one = "rtfbench_frames"
    if ports.lengths == "shares":
        one = "rtfbench_whole"
    elif ports.lengths == "samples":
        nodes.append(
            helper.make_node("Mul", ["rtfbench_frames", "rtfbench_shift"], ["rtfbench_count"])
        )
        one = "rtfbench_count"
    nodes.append(helper.make_node("Expand", [one, "rtfbench_batch"], ["rtfbench_lengths"]))
    is_made = (ports.lengths == "shares" and kind == TensorProto.FLOAT) or (
        ports.lengths != "shares" and whole and kind == TensorProto.INT64
    )
    assert ports.lengths_name is not None
    nodes.append(_cast("rtfbench_lengths", ports.lengths_name, None if is_made else kind))
    return nodes


def _cast(source: str, target: str, kind: int | None) -> NodeProto:
    """Return a node that gives a tensor another name, and another type if it is to have one."""
    if kind is None:
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Cast", [source], [target], to=kind)


def _rank(graph: GraphProto, output: str) -> int | None:
    for value in graph.output:
        if value.name == output and value.type.tensor_type.HasField("shape"):
            return len(value.type.tensor_type.shape.dim)
    return None
