"""What an ONNX graph says of itself: its input and output, parameters and operations.

Shapes come from ONNX's own shape inference at the frames that are asked for. Where it cannot
follow a graph that computes its shapes, as older exporters write them, onnxruntime runs the
graph once and tells the sizes.

Multiplications are those of convolutions and matrix products, in float and in integers, of
recurrences and sums of products; what pads, scales, adds or compares is none. A kernel counts whole
at the edges too.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

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

from rtfbench.base.errors import InputError
from rtfbench.base.numbers import count_denormals
from rtfbench.engines import onnx_files
from rtfbench.engines.base import first_line
from rtfbench.models.ports import Socket

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

#: protobuf, and with it one ONNX file, ends here.
MAX_BYTES = 2**31 - 1
LFS_POINTER = b"version https://git-lfs"

# Operators that only move, rename, look up or make values, and so compute nothing.
_MOVING = {"Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather"}
_MOVING |= {"Identity", "Pad", "Range", "Reshape", "Shape", "Slice", "Split", "Squeeze"}
_MOVING |= {"Tile", "Transpose", "Unsqueeze", "Dropout"}
# What stands around integers: its scales and zero points are no parameters.
_SCALING = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
#: Places of weights and of biases among the inputs of operators that compute in integers.
_INTEGER_WEIGHTS = {
    **dict.fromkeys(("QLinearConv",), (3, 8)),
    **dict.fromkeys(("QLinearMatMul",), (3,)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1,)),
    "DequantizeLinear": (0,),
}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}


@dataclass(frozen=True)
class GraphCounts:
    """What one chunk through a graph costs.

    Attributes:
        params: values of the graph's floating-point tensors and integer weights; BatchNorm
            statistics, scales and zero points left out.
        macs: multiply-accumulates of convolutions, matrix products and recurrences; None where an
            operator that multiplies could not be counted.
        flops: the same with four operations an element of every BatchNorm that is left.
        uncounted: operators that compute something that neither figure includes.
    """

    params: int
    macs: int | None
    flops: int | None
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
    _refuse_what_is_no_model(path)
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model if model.ByteSize() < MAX_BYTES else str(path))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: {first_line(error)}; keep the model's data file beside it"
        ) from error
    except Exception as error:  # protobuf, the checker and the loader share no base class
        raise InputError(
            f"{path}: not a complete ONNX model ({first_line(error)}); export it again"
        ) from error
    return model


def _refuse_what_is_no_model(path: Path) -> None:
    """Refuse what is often saved under a model's name, and what is too new to be read here."""
    start = _begin_of(path)
    if start.startswith(LFS_POINTER):
        raise InputError(
            f"{path}: a pointer of Git LFS, not the model; fetch it with: git lfs pull"
        )
    if start.startswith((b"<", b"{")):  # which begins no ONNX file
        raise InputError(
            f"{path}: a web page or a server's message, not the model; download the file itself "
            "again"
        )
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:  # who loads it says what is wrong with it
        return
    opset = max((each.version for each in model.opset_import if not each.domain), default=0)
    newest, newest_ir = onnx.defs.onnx_opset_version(), onnx.IR_VERSION
    if opset > newest or model.ir_version > newest_ir:
        needed = onnx_files.needed(opset, model.ir_version)
        raise InputError(
            f"{path}: ONNX opset {opset}, IR {model.ir_version}; onnx {onnx.__version__} knows up "
            f"to opset {newest}, IR {newest_ir}: it {needed}, and a newer onnx, or export it with "
            f"opset_version={newest}"
        )
    for each in _data_files(path, model):
        if not each.is_file():
            raise InputError(
                f"{path}: its data file {each.name} is missing; keep it beside the model"
            )
        if _begin_of(each).startswith(LFS_POINTER):
            raise InputError(
                f"{path}: its data file {each.name} is a pointer of Git LFS; fetch it with: "
                "git lfs pull"
            )


def _begin_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512).lstrip().lower()


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
    return _data_files(model_path, onnx.load(str(model_path), load_external_data=False))


def _data_files(model_path: Path, model: ModelProto) -> list[Path]:
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [model_path.parent / name for name in sorted(names)]


def inputs(model: ModelProto) -> list[Socket]:
    """Return what a caller has to feed: inputs with a default value are left out."""
    constant = {tensor.name for tensor in model.graph.initializer}
    return [_socket(value) for value in model.graph.input if value.name not in constant]


def outputs(model: ModelProto) -> list[Socket]:
    """Return the outputs, with the sizes that shape inference adds."""
    return [_socket(value) for value in shape_inference.infer_shapes(model).graph.output]


def fix_frames(model: ModelProto, input_name: str, num_frames: int) -> ModelProto:
    """Return a copy whose input, features [B, T, M], is one chunk of `num_frames`."""
    return fix_axes(model, input_name, (1, num_frames))


def fix_axes(model: ModelProto, input_name: str, sizes: Sequence[int | None]) -> ModelProto:
    """Return a copy whose input has these sizes on its first axes, None where they stay."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    (features,) = (value for value in fixed.graph.input if value.name == input_name)
    for axis, length in enumerate(sizes):
        if length is not None:
            features.type.tensor_type.shape.dim[axis].dim_value = length
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
        yield NodeCost(node, shapes.get(node.output[0]), _products(node, shapes))


def count(model: ModelProto, input_name: str, num_frames: int) -> GraphCounts:
    """Count one chunk of `num_frames` through a graph."""
    macs = batchnorm_flops = 0
    uncounted: Counter[str] = Counter()
    for node, shape, found in costs(model, input_name, num_frames):
        if node.op_type in _MOVING | _SCALING:
            continue
        if node.op_type == "BatchNormalization" and shape is not None:
            batchnorm_flops += 4 * math.prod(shape)
        elif found is not None:
            macs += found
        else:
            uncounted[node.op_type] += 1
    known = not uncounted.keys() & _MULTIPLYING
    return GraphCounts(
        params=_params(model.graph),
        macs=macs if known else None,
        flops=macs + batchnorm_flops if known else None,
        uncounted=tuple(f"{name} x{times}" for name, times in sorted(uncounted.items())),
    )


def _needed(graph: GraphProto) -> set[str]:
    """Return the tensors whose shapes counting looks at."""
    named = {name for node in graph.node for name in _telling(node)}
    norms = (node for node in graph.node if node.op_type == "BatchNormalization")
    return named | {node.output[0] for node in norms}


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


def _params(graph: GraphProto) -> int:
    """Count the values of tensors; scalars, running statistics and scales are none."""
    left_out, weights = set(), set()
    for node in _nodes(graph):
        if node.op_type == "BatchNormalization":
            left_out |= set(node.input[3:5])
        places = _INTEGER_WEIGHTS.get(node.op_type, ())
        weights |= {node.input[place] for place in places if place < len(node.input)}
        if node.op_type in _SCALING | _INTEGER_WEIGHTS.keys():
            left_out |= set(node.input[1:]) - weights
    return sum(
        math.prod(tensor.dims)
        for name, tensor in _constants(graph)
        if tensor.dims and (tensor.data_type in _FLOATS or name in weights)
        if name not in left_out
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
    sockets = map(_socket, [*graph.input, *graph.output, *graph.value_info])
    whole = (each for each in sockets if each.shape is not None and None not in each.shape)
    known = {each.name: tuple(filter(None, each.shape or ())) for each in whole}
    return known | {name: tuple(tensor.dims) for name, tensor in _constants(graph)}


def _socket(value: ValueInfoProto) -> Socket:
    kind = value.type.tensor_type
    sizes = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim)
    return Socket(value.name, sizes if kind.HasField("shape") else None, kind.elem_type)


# How many multiplications a node asks for, by the shapes of its inputs and of what it makes.

MADE = -1


def _recurrence(_: NodeProto, features: Shape, own: Shape, state: Shape) -> int:
    """Each step multiplies the input and the state by the weights of all gates and directions."""
    return math.prod(features[:-1]) * (math.prod(own) + math.prod(state))


def _convolution(_: NodeProto, kernel: Shape, made: Shape) -> int:
    return math.prod(made) * math.prod(kernel[1:])


def _transposed(_: NodeProto, features: Shape, kernel: Shape) -> int:
    """Every input value meets the whole kernel of its group."""
    return math.prod(features) * math.prod(kernel[1:])


def _matrix(_: NodeProto, first: Shape | None, second: Shape, made: Shape) -> int:
    return math.prod(made) * (first[-1] if first else second[max(len(second) - 2, 0)])


def _gemm(node: NodeProto, first: Shape, made: Shape) -> int:
    transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return math.prod(made) * first[0 if transposed else 1]


def _einsum(node: NodeProto, first: Shape, second: Shape) -> int | None:
    """Every combination of the letters is a product; of three factors the order decides."""
    (equation,) = (each.s.decode() for each in node.attribute if each.name == "equation")
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if len(terms) != 2 or "." in equation:
        return None
    pairs = (zip(*each, strict=True) for each in zip(terms, (first, second), strict=True))
    return math.prod(dict(chain(*pairs)).values())


#: Which shapes count, by the places of inputs or `MADE`, and how.
_COUNTED: Mapping[str, tuple[tuple[int, ...], Callable[..., int | None]]] = {
    **dict.fromkeys(("Conv", "ConvInteger"), ((1, MADE), _convolution)),
    "QLinearConv": ((3, MADE), _convolution),
    "ConvTranspose": ((0, 1), _transposed),
    **dict.fromkeys(("MatMul", "MatMulInteger"), ((0, 1, MADE), _matrix)),
    "QLinearMatMul": ((0, 3, MADE), _matrix),
    "Gemm": ((0, MADE), _gemm),
    "Einsum": ((0, 1), _einsum),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), ((0, 1, 2), _recurrence)),
}
#: Operators that multiply, of which one that was not counted leaves a model's total unknown.
_MULTIPLYING = _COUNTED.keys() | {"DeformConv", "Attention", "MultiHeadAttention"}


def _telling(node: NodeProto) -> list[str]:
    """Return the tensors whose shapes tell a node's products; none of other operators."""
    places, _ = _COUNTED.get(node.op_type, ((), None))
    if len(node.input) <= max(places, default=MADE):
        return []
    return [node.output[0] if place == MADE else node.input[place] for place in places]


def _products(node: NodeProto, shapes: Shapes) -> int | None:
    """Return a node's multiply-accumulates, None of another operator or of unknown shapes."""
    if node.op_type not in _COUNTED:
        return None
    _, counted = _COUNTED[node.op_type]
    try:
        return counted(node, *map(shapes.get, _telling(node)))
    except TypeError:  # a shape is not known
        return None
