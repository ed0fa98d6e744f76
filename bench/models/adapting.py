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

from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models.ports import FeaturePorts, Socket

FEATURES = "rtfbench_features"
EMBEDDING = "rtfbench_embedding"


def is_plain(model: ModelProto, inputs: FeaturePorts, output_name: str) -> bool:
    """Say whether a graph needs no wrapping."""
    kind = _output(model.graph, output_name).type.tensor_type
    return (
        inputs.layout == "BTM"
        and inputs.lengths is None
        and inputs.features.type == kind.elem_type == TensorProto.FLOAT
        and (not kind.HasField("shape") or len(kind.shape.dim) == 2)
    )


def wrapped(
    model: ModelProto, inputs: FeaturePorts, output_name: str, front_end: FrontEnd
) -> ModelProto:
    """Return the graph with one input, features [B, T, M], and one output, [B, D], in float32."""
    made = ModelProto()
    made.CopyFrom(model)
    graph, num_frames = made.graph, inputs.num_frames
    before, tensor = [], FEATURES
    if inputs.layout in ("BMT", "B1N"):
        before.append(helper.make_node("Transpose", [tensor], ["rtfbench_turned"], perm=[0, 2, 1]))
        tensor = "rtfbench_turned"
    elif inputs.layout == "BN":
        before.append(helper.make_node("Flatten", [tensor], ["rtfbench_samples"], axis=1))
        tensor = "rtfbench_samples"
    before.append(_cast(tensor, inputs.features.name, TensorProto.FLOAT, inputs.features.type))
    fed = [inputs.features.name]
    if inputs.lengths is not None:
        before += _lengths(graph, inputs, inputs.lengths, front_end.frame_shift)
        fed.append(inputs.lengths.name)
    output = _output(graph, output_name).type.tensor_type
    after, tensor = [], output_name
    if output.elem_type != TensorProto.FLOAT:
        after.append(helper.make_node("Cast", [tensor], ["rtfbench_float"], to=TensorProto.FLOAT))
        tensor = "rtfbench_float"
    after.append(helper.make_node("Flatten", [tensor], [EMBEDDING], axis=1))
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [value for value in graph.input if value.name not in fed]
    del graph.input[:]
    batch, frames = ("B", "T") if num_frames is None else (1, num_frames)
    sizes = [batch, frames, front_end.feat_dim]
    graph.input.extend([helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, sizes), *kept])
    size = math.prod(dim.dim_value for dim in output.shape.dim[1:]) or "D"
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
    graph.node.append(helper.make_node("Identity", [graph.output[0].name], ["rtfbench_logits"]))
    graph.input.remove(features)
    graph.input.extend([turned, lengths])
    logits = ValueInfoProto()
    logits.CopyFrom(graph.output[0])
    logits.name = "rtfbench_logits"
    graph.output.insert(0, logits)
    return made


def _lengths(
    graph: GraphProto, inputs: FeaturePorts, lengths: Socket, frame_shift: int
) -> list[NodeProto]:
    """Return nodes that make the input of lengths from the shape of the features."""
    constants = {"rtfbench_first": np.array([0]), "rtfbench_second": np.array([1])}
    nodes = [
        helper.make_node("Shape", [FEATURES], ["rtfbench_shape"]),
        helper.make_node("Gather", ["rtfbench_shape", "rtfbench_first"], ["rtfbench_batch"]),
        helper.make_node("Gather", ["rtfbench_shape", "rtfbench_second"], ["rtfbench_frames"]),
    ]
    one, kind = "rtfbench_frames", TensorProto.INT64
    if inputs.counted == "shares":
        one, kind = "rtfbench_whole", TensorProto.FLOAT
        constants[one] = np.array([1.0], np.float32)
    elif inputs.counted == "samples":
        constants["rtfbench_shift"] = np.array([frame_shift])
        nodes.append(helper.make_node("Mul", [one, "rtfbench_shift"], ["rtfbench_count"]))
        one = "rtfbench_count"
    nodes.append(helper.make_node("Expand", [one, "rtfbench_batch"], ["rtfbench_lengths"]))
    nodes.append(_cast("rtfbench_lengths", lengths.name, kind, lengths.type))
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    return nodes


def _cast(source: str, target: str, kind: int, wanted: int) -> NodeProto:
    """Return a node that gives a tensor another name, and another type if it is to have one."""
    if kind == wanted:
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Cast", [source], [target], to=wanted)


def _output(graph: GraphProto, name: str) -> ValueInfoProto:
    (found,) = (value for value in graph.output if value.name == name)
    return found  # type: ignore[no-any-return]
