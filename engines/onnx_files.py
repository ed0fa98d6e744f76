"""Which onnxruntime takes an ONNX file, and which layers of it quantisation leaves in float32."""

import re
from collections.abc import Collection
from typing import Any

#: Release, newest opset of ai.onnx and newest IR version: as each release's own wheel says where it
#: refuses a newer one.
RELEASES: tuple[tuple[str, int, int], ...] = (
    ("1.20", 21, 10),
    ("1.21", 22, 10),
    ("1.23", 23, 11),
    ("1.24", 25, 13),
    ("1.25", 26, 13),
    ("1.32", 28, 14),
)
_IR = re.compile(r"model IR version: (\d+), max supported IR version: (\d+)")
_OPSET = re.compile(r"Opset (\d+) is under development.* is till opset (\d+)", re.DOTALL)


def needed(opset: int = 0, ir_version: int = 0) -> str:
    """Say which onnxruntime takes a model."""
    for release, newest, newest_ir in RELEASES:
        if opset <= newest and ir_version <= newest_ir:
            return f"needs onnxruntime {release} or newer"
    release, newest, newest_ir = RELEASES[-1]
    return (
        f"needs a newer onnxruntime than {release}, which takes up to opset {newest}, IR "
        f"version {newest_ir}"
    )


def too_new(said: str) -> str:
    """Say which onnxruntime a model needs that this one called too new; nothing of other errors."""
    if found := _IR.search(said):
        return f"IR version {found[1]} {needed(ir_version=int(found[1]))}"
    if found := _OPSET.search(said):
        return f"opset {found[1]} {needed(opset=int(found[1]))}"
    return ""


#: The setting, and its values.
FLOAT_LAYERS = "float_layers"
CHOICES = ("none", "first", "last", "both")


def layers_in_float(model: Any, operators: Collection[str], which: str) -> list[str]:
    """Return the names of the layers that stay in float32; those without a name get one."""
    layers = [node for node in model.graph.node if node.op_type in operators]
    for index, node in enumerate(layers):
        node.name = node.name or f"layer_{index}"
    kept = {"none": [], "first": layers[:1], "last": layers[-1:], "both": layers[:1] + layers[-1:]}
    return [node.name for node in kept[which]]


def told(kept: Collection[str]) -> str:
    """Return the end of a recipe that says what stayed in float32."""
    return f", but for {' and '.join(kept)}" if kept else ""
