"""How many multiplications a node of an ONNX graph asks for (pure).

Convolutions and matrix products, in float and in integers, recurrences and sums of products; what
pads, scales, adds or compares is none. A kernel counts whole at the edges too.
"""

import math
from collections.abc import Callable, Iterable, Mapping

from onnx import NodeProto

Shape = tuple[int | None, ...]  # None where a size is open
Shapes = Mapping[str, Shape]

#: Two factors, by their places among a node's inputs.
_FACTORS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "MatMul", "MatMulInteger", "Gemm"), (0, 1)),
    **dict.fromkeys(("ConvTranspose", "Einsum"), (0, 1)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (0, 3)),
}
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
#: Operators that multiply, of which one that was not counted leaves a model's total unknown.
MULTIPLYING = _FACTORS.keys() | _RECURRENT | {"DeformConv", "Attention", "MultiHeadAttention"}


def needed(node: NodeProto) -> list[str]:
    """Return the tensors whose shapes tell a node's products; none of other operators."""
    if node.op_type in _RECURRENT:
        return list(node.input[:3])
    places = _FACTORS.get(node.op_type, ())
    names = [node.input[place] for place in places if place < len(node.input)]
    return [*names, node.output[0]] if names else []


def products(node: NodeProto, shapes: Shapes) -> int | None:
    """Return a node's multiply-accumulates, None of another operator or of unknown shapes."""
    if node.op_type in _RECURRENT:
        return _recurrence(*(shapes.get(name) for name in node.input[:3]))
    places = _FACTORS.get(node.op_type)
    if places is None or len(node.input) <= places[-1]:
        return None
    first, second = (shapes.get(node.input[place]) for place in places)
    return _COUNTS[node.op_type](node, first, second, shapes.get(node.output[0]))


def size(shape: Iterable[int | None] | None) -> int | None:
    """Return the number of elements, None where it is open."""
    sizes = [None] if shape is None else list(shape)
    return math.prod(s for s in sizes if s is not None) if None not in sizes else None


def _recurrence(features: Shape | None, own: Shape | None, state: Shape | None) -> int | None:
    """Each step multiplies the input and the state by the weights of all gates and directions."""
    steps, weights, back = size(features), size(own), size(state)
    if not features or steps is None or weights is None or back is None or not features[-1]:
        return None
    return steps // features[-1] * (weights + back)


def _convolution(
    _: NodeProto, first: Shape | None, kernel: Shape | None, made: Shape | None
) -> int | None:
    outputs, each = size(made), size(kernel[1:]) if kernel else None
    return None if outputs is None or each is None else outputs * each


def _transposed(
    _: NodeProto, first: Shape | None, kernel: Shape | None, made: Shape | None
) -> int | None:
    # Every input value meets the whole kernel of its group.
    inputs, each = size(first), size(kernel[1:]) if kernel else None
    return None if inputs is None or each is None else inputs * each


def _matrix(
    _: NodeProto, first: Shape | None, second: Shape | None, made: Shape | None
) -> int | None:
    summed = first[-1] if first else second[max(len(second) - 2, 0)] if second else None
    outputs = size(made)
    return None if outputs is None or summed is None else outputs * summed


def _gemm(
    node: NodeProto, first: Shape | None, second: Shape | None, made: Shape | None
) -> int | None:
    if not first:
        return None
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    outputs, summed = size(made), first[0 if transposed else 1]
    return None if outputs is None or summed is None else outputs * summed


def _einsum(
    node: NodeProto, first: Shape | None, second: Shape | None, made: Shape | None
) -> int | None:
    """Every combination of the letters is a product; of three factors the order decides."""
    (equation,) = (a.s.decode() for a in node.attribute if a.name == "equation")
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    if len(terms) != 2 or first is None or second is None or "." in equation:
        return None
    sizes = {
        letter: length
        for term, shape in zip(terms, (first, second), strict=True)
        for letter, length in zip(term, shape, strict=True)
    }
    return size(sizes.values())


_COUNTS: dict[str, Callable[[NodeProto, Shape | None, Shape | None, Shape | None], int | None]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), _convolution),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _matrix),
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "Einsum": _einsum,
}
