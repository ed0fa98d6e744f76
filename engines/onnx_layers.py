"""The first and the last layer of an ONNX graph, which quantisation may leave in float32."""

from collections.abc import Collection
from typing import Any

#: The setting, and its values.
FLOAT_LAYERS = "float_layers"
CHOICES = ("none", "first", "last", "both")


def layers_in_float(model: Any, operators: Collection[str], which: str) -> list[str]:
    """Return the names of the layers that stay in float32; those without a name get one.

    Args:
        model: an ONNX model, whose nodes stand in the order in which they are computed.
        operators: what counts as a layer.
        which: one of `CHOICES`.
    """
    layers = [node for node in model.graph.node if node.op_type in operators]
    for index, node in enumerate(layers):
        node.name = node.name or f"layer_{index}"
    kept = {"none": [], "first": layers[:1], "last": layers[-1:], "both": layers[:1] + layers[-1:]}
    return [node.name for node in kept[which]]


def told(kept: Collection[str]) -> str:
    """Return the end of a recipe that says what stayed in float32."""
    return f", but for {' and '.join(kept)}" if kept else ""
