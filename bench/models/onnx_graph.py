"""What an ONNX graph says of itself: its input and output, parameters and operations.

Shapes come from ONNX's own shape inference at the frames that are asked for. Where it cannot
follow a graph that computes its shapes, as older exporters write them, onnxruntime runs the
graph once and tells the sizes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
    shape_inference,
)

from bench.base.errors import InputError
from bench.base.numbers import count_denormals

#: protobuf, and with it one ONNX file, ends here.
MAX_BYTES = 2**31 - 1

# Operators that only move, rename, look up or make values, and so compute nothing.
_MOVING = {"Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather"}
_MOVING |= {"Identity", "Pad", "Range", "Reshape", "Shape", "Slice", "Split", "Squeeze"}
_MOVING |= {"Tile", "Transpose", "Unsqueeze", "Dropout"}
_COUNTED = {"Conv", "ConvTranspose", "MatMul", "Gemm", "BatchNormalization"}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}

Shape = tuple[int | None, ...]  # None where a size is open


@dataclass(frozen=True)
class Port:
    """A graph's input or output; a shape of None is unknown."""

    name: str
    shape: Shape | None

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join(str(s or "any") for s in self.shape)
        return f"{self.name} [{sizes}]"


@dataclass(frozen=True)
class GraphCounts:
    """What one chunk through a graph costs.

    Attributes:
        params: values of the graph's floating-point tensors, BatchNorm statistics left out.
        macs: multiply-accumulates of convolutions and matrix products.
        flops: the same with four operations an element of every BatchNorm that is left.
        uncounted: operators that compute something that neither figure includes.
    """

    params: int
    macs: int
    flops: int
    uncounted: tuple[str, ...]


class NodeCost(NamedTuple):
    """A node, the shape of its first output, and its multiply-accumulates, None where unknown."""

    node: NodeProto
    shape: Shape | None
    macs: int | None


def load_graph(path: Path) -> ModelProto:
    """Read a model with the data files that it names.

    Raises:
        InputError: not a complete ONNX model.
    """
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model if model.ByteSize() < MAX_BYTES else str(path))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: {_first_line(error)}; keep the model's data file beside it"
        ) from error
    except Exception as error:  # protobuf, the checker and the loader share no base class
        raise InputError(
            f"{path}: not a complete ONNX model ({_first_line(error)}); export it again"
        ) from error
    return model


def save_graph(model: ModelProto, path: Path) -> None:
    """Write a model as one file.

    Raises:
        InputError: it is too large for one.
    """
    if model.ByteSize() > MAX_BYTES:
        raise InputError(f"{path.name}: a model over 2 GB cannot be converted")
    onnx.save(model, str(path))


def data_files(model_path: Path) -> list[Path]:
    """Return the files beside a model that hold its large tensors, in alphabetical order."""
    model = onnx.load(str(model_path), load_external_data=False)
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [model_path.parent / name for name in sorted(names)]


def inputs(model: ModelProto) -> list[Port]:
    """Return what a caller has to feed: inputs with a default value are left out."""
    constant = {tensor.name for tensor in model.graph.initializer}
    return [_port(value) for value in model.graph.input if value.name not in constant]


def outputs(model: ModelProto) -> list[Port]:
    """Return the outputs, with the sizes that shape inference adds."""
    return [_port(value) for value in shape_inference.infer_shapes(model).graph.output]


def fix_frames(model: ModelProto, input_name: str, num_frames: int) -> ModelProto:
    """Return a copy whose input is one chunk of `num_frames`."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    (features,) = (value for value in fixed.graph.input if value.name == input_name)
    for axis, size in enumerate((1, num_frames)):
        features.type.tensor_type.shape.dim[axis].dim_value = size
    # Sizes that were inferred for open axes would contradict the fixed ones.
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(fixed, data_prop=True)


def costs(model: ModelProto, input_name: str, num_frames: int) -> Iterator[NodeCost]:
    """Yield every node with what one chunk of `num_frames` costs in it."""
    fixed = fix_frames(model, input_name, num_frames)
    shapes = _shapes(fixed.graph)
    if not shapes.keys() >= _needed(fixed.graph):
        shapes |= _measured_shapes(fixed, input_name, _needed(fixed.graph) - shapes.keys())
    for node in _nodes(fixed.graph):
        shape = shapes.get(node.output[0])
        elements, inputs_per_output = _size(shape), _inputs_per_output(node, shapes)
        products = None
        if elements is not None and inputs_per_output is not None:
            products = elements * inputs_per_output
        yield NodeCost(node, shape, products)


def count(model: ModelProto, input_name: str, num_frames: int) -> GraphCounts:
    """Count one chunk of `num_frames` through a graph."""
    macs = batchnorm_flops = 0
    uncounted: Counter[str] = Counter()
    for node, shape, products in costs(model, input_name, num_frames):
        elements = _size(shape)
        if node.op_type in _MOVING:
            continue
        if node.op_type == "BatchNormalization" and elements is not None:
            batchnorm_flops += 4 * elements
        elif products is not None:
            macs += products
        else:
            uncounted[node.op_type] += 1
    return GraphCounts(
        params=_params(model.graph),
        macs=macs,
        flops=macs + batchnorm_flops,
        uncounted=tuple(f"{name} x{times}" for name, times in sorted(uncounted.items())),
    )


def _needed(graph: GraphProto) -> set[str]:
    """Return the tensors whose shapes counting looks at."""
    counted = [node for node in graph.node if node.op_type in _COUNTED]
    return {name for node in counted for name in (*node.input[:2], node.output[0])}


def _measured_shapes(model: ModelProto, input_name: str, names: set[str]) -> dict[str, Shape]:
    """Run a graph of fixed input on zeros and return the shapes of some of its tensors."""
    try:
        import onnxruntime
    except ImportError:  # then they stay unknown, and their operators uncounted
        return {}
    asking = ModelProto()
    asking.CopyFrom(model)
    del asking.graph.output[:]
    # Shapes instead of the tensors themselves, which together may not fit into memory.
    for index, name in enumerate(wanted := sorted(names)):
        asking.graph.node.append(helper.make_node("Shape", [name], [f"shape_of_{index}"]))
        asking.graph.output.append(
            helper.make_tensor_value_info(f"shape_of_{index}", TensorProto.INT64, None)
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    (features,) = (value for value in asking.graph.input if value.name == input_name)
    sizes = [dim.dim_value for dim in features.type.tensor_type.shape.dim]
    session = onnxruntime.InferenceSession(
        asking.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {input_name: np.zeros(sizes, np.float32)})
    return {name: tuple(map(int, shape)) for name, shape in zip(wanted, found, strict=True)}


def _inputs_per_output(node: NodeProto, shapes: dict[str, Shape]) -> int | None:
    """Return how many products each output value sums, None for other or unknown operators."""
    sources = [shapes.get(name) for name in node.input]
    if node.op_type == "Conv":
        return _size(sources[1][1:]) if sources[1] else None
    if node.op_type == "ConvTranspose" and sources[0] and sources[1]:
        # Spread over the outputs, every input value meets the whole kernel of its group.
        output = shapes.get(node.output[0])
        spread = _size(sources[0])
        kernel, made = _size(sources[1][1:]), _size(output)
        return spread * kernel // made if spread and kernel and made else None
    if node.op_type == "MatMul":
        return sources[0][-1] if sources[0] else (sources[1][-2] if sources[1] else None)
    if node.op_type == "Gemm" and sources[0]:
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return sources[0][0 if transposed else 1]
    return None


def _params(graph: GraphProto) -> int:
    """Count the values of floating-point tensors; scalars and running statistics are none."""
    statistics = {
        name
        for node in _nodes(graph)
        if node.op_type == "BatchNormalization"
        for name in node.input[3:5]
    }
    return sum(
        math.prod(tensor.dims)
        for name, tensor in _constants(graph)
        if tensor.data_type in _FLOATS and tensor.dims and name not in statistics
    )


def not_numbers(model: ModelProto) -> str | None:
    """Return the name of a stored tensor that holds a NaN, None where there is none.

    Some runtimes make finite values of it. Infinity may be meant: masks have it.
    """
    for name, tensor in _constants(model.graph):
        if tensor.data_type in _FLOATS and np.isnan(_values(tensor)).any():
            return name
    return None


def denormal_weights(model: ModelProto) -> tuple[int, int]:
    """Return how many stored values of 32 or 64 bits are denormal, and how many there are."""
    found = [
        numpy_helper.to_array(tensor)
        for _, tensor in _constants(model.graph)
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE)
    ]
    return sum(map(count_denormals, found)), sum(each.size for each in found)


def _values(tensor: TensorProto) -> npt.NDArray[np.float32]:
    return np.asarray(numpy_helper.to_array(tensor), np.float32)


def _constants(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield every stored tensor with its name."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in _nodes(graph):
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield node.output[0], attribute.t


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield a graph's nodes, those of branches and loop bodies too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _shapes(graph: GraphProto) -> dict[str, Shape]:
    """Return tensor name -> shape, for all whose sizes inference found."""
    ports = map(_port, [*graph.input, *graph.output, *graph.value_info])
    known = {p.name: p.shape for p in ports if p.shape is not None and None not in p.shape}
    return known | {name: tuple(tensor.dims) for name, tensor in _constants(graph)}


def _size(shape: Iterable[int | None] | None) -> int | None:
    """Return the number of elements, None where it is open."""
    sizes = [None] if shape is None else list(shape)
    return math.prod(s for s in sizes if s is not None) if None not in sizes else None


def _port(value: ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return Port(value.name, None)
    return Port(
        value.name,
        tuple(dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim),
    )


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
