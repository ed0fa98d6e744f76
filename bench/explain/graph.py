"""The source graph as operators are mapped to it: its nodes, by layer and by kind."""

from collections.abc import Mapping, Sequence

from rtfbench.base.values import Value
from rtfbench.engines.profiling import PASSING, PREPARING

#: Of nodes that no layer claims.
POOLING, EMBEDDING = "pooling", "embedding"


class Node(Value):
    """One node of the ONNX graph.

    Attributes:
        name: its own.
        kind: what it computes, in words: `3×3 convolutions, stride 1`.
        block: the part of the model that it belongs to: `layer1.0`, `pooling`.
        inputs: tensors that other nodes compute, or the graph's input.
        outputs: tensors.
        weights: stored tensors that it alone takes.
        macs: multiply-accumulates of one chunk; None where it computes something else.
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

_KINDS: Mapping[str, tuple[str, ...]] = {
    ACTIVATION: (
        *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Clip", "Sigmoid", "HardSigmoid"),
        *("HardSwish", "Tanh", "Gelu", "Erf", "Softplus", "Softmax", "LogSoftmax", "Mish"),
        *("Silu", "Swish", "ThresholdedRelu", "Softsign", "QuickGelu", "SoftPlus", "hardtanh"),
    ),
    ELEMENTWISE: (
        *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal"),
        *("Max", "Min", "Where", "Equal", "Greater", "Less", "Not", "And", "Or", "Sum", "Mod"),
        *("BinaryOp", "UnaryOp", "Eltwise", "Sign", "Floor", "Ceil", "Round", "Add_", "mul_"),
        *("Subtract", "Multiply", "Divide", "Power", "PowerStatic", "clamp", "clamp_min", "square"),
    ),
    NORMALISATION: (
        *("BatchNormalization", "LayerNormalization", "InstanceNormalization", "Scale"),
        *("GroupNormalization", "LpNormalization", "MeanVarianceNormalization", "LayerNorm"),
        *("batch_norm", "layer_norm", "instance_norm", "group_norm", "MVN"),
    ),
    REDUCTION: (
        *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"),
        *("ReduceSumSquare", "ReduceL1", "ReduceLogSumExp", "GlobalAveragePool", "AveragePool"),
        *("MaxPool", "GlobalMaxPool", "Reduction", "Pooling", "CumSum", "TopK", "ArgMax", "Reduce"),
        *("mean", "var", "std", "amax", "amin", "prod", "avg_pool1d", "avg_pool2d", "max_pool2d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "AvgPool"),
    ),
    LINEAR: ("MatMul", "Gemm", "FullyConnected", "BatchMatMul", "InnerProduct"),
    COPIES: (
        *("Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "Pad"),
        *("Identity", "Range", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile"),
        *("Transpose", "Unsqueeze", "Dropout", "Raster", "ReorderInput", "ReorderOutput"),
        *("cat", "chunk", "permute", "view", "select", "getitem", "contiguous", "clone", "to"),
        *("VariadicSplit", "Interpolate", "unbind", "stack", "sym_size", "repeat"),
        *("Reorder", "StridedSlice", "MemoryInput", "Broadcast", PASSING),
    ),
    CONVERSIONS: (
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "FakeQuantize"),
        *("Convert", "FloatToInt8", "Int8ToFloat", "to_copy"),
    ),
    PREPARATION: (PREPARING,),
}
_KIND_OF = {operator.lower(): kind for kind, names in _KINDS.items() for operator in names}
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

    Args:
        kernel: its sizes, one an axis.
        strides: the same.
        dilations: the same.
        groups: into how many parts channels are split.
    """
    sizes = "×".join(map(str, kernel))
    name = f"{sizes} convolutions" if len(kernel) > 1 else f"1-D convolutions, kernel {sizes}"
    strided = max(strides) > 1 or (len(kernel) > 1 and max(kernel) > 1)
    told = [f"stride {max(strides)}"] if strided else []
    told += ["dilated"] if max(dilations) > 1 else []
    told += ["grouped"] if groups > 1 else []
    return ", ".join([name, *told])
