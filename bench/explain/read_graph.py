"""The source graph from its ONNX file, read in a process of its own."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.asking import ask, respond
from bench.base.child import ChildError
from bench.base.errors import InputError
from bench.base.values import Value
from bench.explain import kinds
from bench.explain.blocks import Placed, blocks
from bench.explain.graph import Graph, Node

if TYPE_CHECKING:
    from bench.models.onnx_graph import NodeCost

#: Shapes that inference cannot find are measured, on the largest models in half a minute.
TIMEOUT_S = 600.0


class GraphRequest(Value):
    """An ONNX file, and how many frames its input has."""

    path: Path
    num_frames: int
    input_name: str | None = None


def graph_of(request: GraphRequest) -> Graph:
    """Return the nodes of an ONNX file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return ask("bench.explain.read_graph", request, Graph, timeout_s=TIMEOUT_S)
    except ChildError as error:
        raise InputError(f"{request.path}: reading its graph failed: {error}") from None


def read(request: GraphRequest) -> Graph:
    """Read an ONNX file in this process."""
    from bench.models import onnx_graph

    model = onnx_graph.load_graph(request.path)
    input_name = request.input_name or onnx_graph.inputs(model)[0].name
    costs = list(onnx_graph.costs(model, input_name, request.num_frames))
    stored = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    taken = Counter(name for cost in costs for name in cost.node.input if name in stored)
    own = [tuple(name for name in cost.node.input if taken[name] == 1) for cost in costs]
    placed = blocks([_placed(*each, stored) for each in zip(costs, own, strict=True)])
    return Graph(
        nodes=tuple(
            Node(
                name=cost.node.name,
                kind=_kind(cost.node, stored),
                block=block,
                inputs=_computed(cost, stored),
                outputs=tuple(filter(None, cost.node.output)),
                weights=weights,
                macs=cost.macs,
            )
            for cost, weights, block in zip(costs, own, placed, strict=True)
        )
    )


Sizes = Mapping[str, tuple[int, ...]]


def _computed(cost: "NodeCost", stored: Sizes) -> tuple[str, ...]:
    return tuple(name for name in cost.node.input if name and name not in stored)


def _placed(cost: "NodeCost", weights: tuple[str, ...], stored: Sizes) -> Placed:
    """Return what a node's place is told by."""
    # Numbers and lists of sizes are stored tensors too, and have no dots in their names.
    named = next((name for name in weights if "." in name and math.prod(stored[name]) > 1), "")
    axes = cost.shape or ()
    frames = axes[1:-1] if cost.node.op_type in ("MatMul", "Gemm") else axes[2:]
    return Placed(
        inputs=_computed(cost, stored),
        outputs=tuple(filter(None, cost.node.output)),
        weight=named,
        reduces=kinds.kind_of(cost.node.op_type) == kinds.POOLING,
        over_frames=bool(named) and math.prod(size or 2 for size in frames) > 1,
    )


def _kind(node: Any, stored: Sizes) -> str:
    """Return what a node computes, in words."""
    if node.op_type not in ("Conv", "ConvTranspose"):
        return kinds.kind_of(node.op_type)
    sizes = {each.name: tuple(each.ints) for each in node.attribute}
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    kernel = sizes.get("kernel_shape") or stored.get(node.input[1], (1, 1, 1))[2:]
    ones = (1,) * len(kernel)
    return kinds.convolutions(
        kernel, sizes.get("strides", ones), sizes.get("dilations", ones), groups
    )


if __name__ == "__main__":
    respond(GraphRequest, read)
