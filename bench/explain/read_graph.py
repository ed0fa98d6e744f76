"""The source graph, by layer and by kind, from its ONNX file, read in a process of its own.

A node belongs to a part of the model by the names of weights. Exporters keep the names that weights
have in the model: `layer1.0.conv1.weight`. A node without weights belongs where its input comes
from; what reduces over frames, and all that follows from it, belongs to what takes it up: the gate
of a squeeze-and-excitation, or the pooling.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtfbench.base.asking import ask, respond
from rtfbench.base.child import ChildError
from rtfbench.base.errors import as_input
from rtfbench.base.values import Value
from rtfbench.engines.profiling import PASSING, PREPARING

if TYPE_CHECKING:
    from rtfbench.models.onnx_graph import NodeCost


#: Of nodes that no layer claims.
POOLING, EMBEDDING = "pooling", "embedding"


class Node(Value):
    """One node of the ONNX graph, of the part `block` of a model: `layer1.0`, `pooling`.

    Its kind is what it computes, in words: `3×3 convolutions, stride 1`. Its inputs are tensors
    that other nodes compute, or the graph's input; its weights are stored ones that it alone takes.
    Multiply-accumulates are those of one chunk; None where it computes something else.
    """

    name: str
    kind: str
    block: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...] = ()
    macs: int | None = None


class Graph(Value):
    """A model's nodes in the order in which they are computed."""

    nodes: tuple[Node, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one chunk."""
        return sum(node.macs or 0 for node in self.nodes)


ACTIVATION, ELEMENTWISE = "activations", "elementwise operators"
NORMALISATION, REDUCTION, LINEAR = "normalisations", "pooling and reductions", "linear layers"
COPIES, CONVERSIONS = "copies and layout changes", "conversions of types"
OTHER = "other operators"
FRAMEWORK, PREPARATION = "between operators", "preparation in the first run"

#: The operators of each kind, by their types in ONNX and in runtimes.
_KINDS = {
    ACTIVATION: """
        Relu LeakyRelu PRelu Elu Selu Celu Clip Sigmoid HardSigmoid HardSwish Tanh Gelu Erf Softplus
        Softmax LogSoftmax Mish Silu Swish ThresholdedRelu Softsign QuickGelu SoftPlus hardtanh
    """,
    ELEMENTWISE: """
        Add Sub Mul Div Pow Sqrt Exp Log Neg Abs Reciprocal Max Min Where Equal Greater Less Not And
        Or Sum Mod BinaryOp UnaryOp Eltwise Sign Floor Ceil Round Add_ mul_ Subtract Multiply Divide
        Power PowerStatic clamp clamp_min square
    """,
    NORMALISATION: """
        BatchNormalization LayerNormalization InstanceNormalization Scale GroupNormalization
        LpNormalization MeanVarianceNormalization LayerNorm batch_norm layer_norm instance_norm
        group_norm MVN
    """,
    REDUCTION: """
        ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2 ReduceSumSquare ReduceL1
        ReduceLogSumExp GlobalAveragePool AveragePool MaxPool GlobalMaxPool Reduction Pooling CumSum
        TopK ArgMax Reduce mean var std amax amin prod avg_pool1d avg_pool2d max_pool2d
        adaptive_avg_pool1d adaptive_avg_pool2d AvgPool
    """,
    LINEAR: "MatMul Gemm FullyConnected BatchMatMul InnerProduct",
    COPIES: f"""
        Cast Concat Constant ConstantOfShape Expand Flatten Gather Pad Identity Range Reshape Shape
        Slice Split Squeeze Tile Transpose Unsqueeze Dropout Raster ReorderInput ReorderOutput cat
        chunk permute view select getitem contiguous clone to VariadicSplit Interpolate unbind stack
        sym_size repeat Reorder StridedSlice MemoryInput Broadcast {PASSING}
    """,
    CONVERSIONS: """
        QuantizeLinear DequantizeLinear DynamicQuantizeLinear FakeQuantize Convert FloatToInt8
        Int8ToFloat to_copy
    """,
    PREPARATION: PREPARING,
}
_KIND_OF = {operator.lower(): kind for kind, names in _KINDS.items() for operator in names.split()}
#: Parts of the names by which runtimes call what multiplies.
_MULTIPLYING = ("conv", "matmul", "gemm", "fullyconnected", "innerproduct", "linear", "addmm")


def kind_of(operator: str) -> str:
    """Return the kind of an operator that is no convolution, by its type in ONNX or a runtime."""
    return _KIND_OF.get(operator.lower(), OTHER)


def moves(operator: str) -> bool:
    """Say whether a runtime's operator only moves values, whatever node it belongs to."""
    return kind_of(operator) in (COPIES, CONVERSIONS, PREPARATION)


def multiplies(operator: str) -> bool:
    """Say whether a runtime's operator computes convolutions or products."""
    return any(part in operator.lower() for part in _MULTIPLYING)


def convolutions(
    kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], groups: int
) -> str:
    """Return the kind of a convolution: `3×3 convolutions, stride 1`.

    Kernel, strides and dilations have a value an axis; channels are split into so many groups.
    """
    sizes = "×".join(map(str, kernel))
    name = f"{sizes} convolutions" if len(kernel) > 1 else f"1-D convolutions, kernel {sizes}"
    strided = max(strides) > 1 or (len(kernel) > 1 and max(kernel) > 1)
    told = [f"stride {max(strides)}"] if strided else []
    told += ["dilated"] if max(dilations) > 1 else []
    told += ["grouped"] if groups > 1 else []
    return ", ".join([name, *told])


#: More blocks than these make no table: numbered layers are then one block each.
MOST_BLOCKS = 24


@dataclass(frozen=True)
class PlacedNode:
    """What is known of a node's place: the tensors that it takes, stored ones left out, and gives.

    `weight` is a stored tensor that it alone takes, empty where there is none; `reduces` says that
    it is a pooling or a reduction, `over_frames` that it has weights, and computes a value a frame.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight: str = ""
    reduces: bool = False
    over_frames: bool = False


def blocks(nodes: Sequence[PlacedNode]) -> list[str]:
    """Return the block of every node, given in the order in which they are computed."""
    own = _own_blocks(nodes)
    first = next((name for name in own if name), "")
    reduced = _reduced(nodes, own)
    later = _taken_up_by(nodes, own)
    found: list[str] = []
    made: dict[str, str] = {}
    for index, node in enumerate(nodes):
        earlier = next((made[name] for name in node.inputs if name in made), first)
        name = own[index] or ((later[index] or earlier) if reduced[index] else earlier)
        found.append(name or "model")
        made |= dict.fromkeys(node.outputs, name)
    return found


def _own_blocks(nodes: Sequence[PlacedNode]) -> list[str]:
    """Return the block that a node's weight names, empty without one."""
    last = max((index for index, node in enumerate(nodes) if node.over_frames), default=-1)
    paths = [_path(node.weight) for node in nodes]
    shared = _shared([path for path in paths if path])
    names = [_name(path[shared:], whole=True) for path in paths]
    if len(set(names)) > MOST_BLOCKS:
        names = [_name(path[shared:], whole=False) for path in paths]
    return [
        EMBEDDING if name and last >= 0 and index > last and name != POOLING else name
        for index, name in enumerate(names)
    ]


def _path(weight: str) -> tuple[str, ...]:
    """Return the modules that a weight is in."""
    return tuple(re.split(r"[./]+", weight.strip("./")))[:-1] if weight else ()


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """Return how many modules all weights are in."""
    if len(paths) < 2:
        return 0
    columns = zip(*paths, strict=False)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    return min(shared, min(map(len, paths)) - 1)


def _name(path: tuple[str, ...], *, whole: bool) -> str:
    """Return a block's name: modules up to the first that is numbered, `layer1` or `blocks.1`.

    Where the `whole` is wanted, the number of a layer within comes to it: `layer1.0`.
    """
    if not path:
        return ""
    if "pool" in path[0].lower():
        return POOLING
    numbered = (index for index, module in enumerate(path) if module[-1:].isdigit())
    end = next(numbered, 0) + 1
    if whole and len(path) > end and path[end].isdigit():
        end += 1
    return ".".join(path[:end])


def _reduced(nodes: Sequence[PlacedNode], own: Sequence[str]) -> list[bool]:
    """Say of nodes without weights whether they follow from a reduction that has none between."""
    found: list[bool] = []
    tensors: set[str] = set()
    for node, name in zip(nodes, own, strict=True):
        follows = not name and (node.reduces or any(each in tensors for each in node.inputs))
        found.append(follows)
        tensors |= set(node.outputs) if follows else set()
    return found


def _taken_up_by(nodes: Sequence[PlacedNode], own: Sequence[str]) -> list[str]:
    """Return the block of the first node with weights that each node's outputs lead to.

    Those that lead to the embedding, which no layer takes up before, are the pooling.
    """
    wants: dict[str, str] = {}
    found = [""] * len(nodes)
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        leads = next((wants[name] for name in node.outputs if wants.get(name)), "")
        found[index] = own[index] or (POOLING if leads == EMBEDDING else leads)
        wants |= dict.fromkeys(node.inputs, own[index] or leads)
    return found


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
    with as_input(ChildError, before=f"{request.path}: reading its graph failed: "):
        return ask("rtfbench.explain.read_graph", request, Graph, timeout_s=TIMEOUT_S)


def read(request: GraphRequest) -> Graph:
    """Read an ONNX file in this process."""
    from rtfbench.models import onnx_graph

    model = onnx_graph.load_graph(request.path)
    input_name = request.input_name or onnx_graph.inputs(model)[0].name
    costs = list(onnx_graph.costs(model, input_name, request.num_frames))
    stored = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    taken = Counter(name for cost in costs for name in cost.node.input if name in stored)
    own = [tuple(name for name in cost.node.input if taken[name] == 1) for cost in costs]
    placed = [_placed(*each, stored) for each in zip(costs, own, strict=True)]
    return Graph(
        nodes=tuple(
            Node(
                name=cost.node.name,
                kind=_kind(cost.node, stored),
                block=block,
                inputs=place.inputs,
                outputs=place.outputs,
                weights=weights,
                macs=cost.macs,
            )
            for cost, weights, place, block in zip(costs, own, placed, blocks(placed), strict=True)
        )
    )


Sizes = Mapping[str, tuple[int, ...]]


def _placed(cost: "NodeCost", weights: tuple[str, ...], stored: Sizes) -> PlacedNode:
    # Numbers and lists of sizes are stored tensors too, and have no dots in their names.
    named = next((name for name in weights if "." in name and math.prod(stored[name]) > 1), "")
    axes = cost.shape or ()
    frames = axes[1:-1] if cost.node.op_type in ("MatMul", "Gemm") else axes[2:]
    return PlacedNode(
        inputs=tuple(name for name in cost.node.input if name and name not in stored),
        outputs=tuple(filter(None, cost.node.output)),
        weight=named,
        reduces=kind_of(cost.node.op_type) == REDUCTION,
        over_frames=bool(named) and math.prod(size or 2 for size in frames) > 1,
    )


def _kind(node: Any, stored: Sizes) -> str:
    if node.op_type not in ("Conv", "ConvTranspose"):
        return kind_of(node.op_type)
    sizes = {each.name: tuple(each.ints) for each in node.attribute}
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    kernel = sizes.get("kernel_shape") or stored.get(node.input[1], (1, 1, 1))[2:]
    ones = (1,) * len(kernel)
    return convolutions(kernel, sizes.get("strides", ones), sizes.get("dilations", ones), groups)


if __name__ == "__main__":
    respond(GraphRequest, read)
