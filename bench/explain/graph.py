"""The source graph as operators are mapped to it: its nodes, by layer and by kind."""

from bench.base.values import Value

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
