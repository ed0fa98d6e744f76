"""ONNX files for onnxruntime: which release takes one, and how one in int8 is made.

What it makes with its own quantiser, and what its optimised graphs compute in; which layers stay in
float32 holds for other quantisers too.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rtfbench.engines.protocol import FloatArray, Quantization

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


#: What is quantised. The statistics of the pooling stay in float32: they are a thousandth of the
#: operations, and in int8 they cost more accuracy than all the rest.
OPERATORS = ("Conv", "MatMul", "Gemm")
#: The setting of where ranges of activations come from: from calibration, or from each run.
RANGES = "ranges"
#: The setting of how many bits weights have: with 7, sums of products fit into 16 bits, which is
#: what CPUs without VNNI add them up in.
WEIGHT_BITS = "weight_bits"
#: Operators of optimised graphs that multiply, by what they compute in.
COMPUTES: Mapping[str, tuple[str, ...]] = {
    "int8": (
        *("QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger"),
        *("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "NhwcQLinearConv"),
    ),
    "float32": ("Conv", "FusedConv", "MatMul", "FusedMatMul", "Gemm", "FusedGemm", "NhwcFusedConv"),
}


class _Chunks:
    """Calibration features, one chunk at a time."""

    def __init__(self, name: str, features_NTM: FloatArray) -> None:
        self._name, self._chunks = name, iter(features_NTM)

    def get_next(self) -> dict[str, FloatArray] | None:
        """Return the next input, None at the end."""
        features_TM = next(self._chunks, None)
        return None if features_TM is None else {self._name: features_TM[None]}


def to_int8(onnx_path: Path, path: Path, wanted: Quantization) -> str:
    """Write a model with quantise and dequantise nodes around what multiplies.

    Activations are unsigned and per tensor, weights signed and per channel; ranges are the least
    and largest values on the features, or with `ranges=dynamic` those of each run.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="rtfbench-") as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(str(onnx_path), prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        kept = layers_in_float(model, OPERATORS, wanted.settings[FLOAT_LAYERS])
        onnx.save(model, prepared)  # its layers have names now
        common: dict[str, Any] = {
            "op_types_to_quantize": list(OPERATORS),
            "nodes_to_exclude": kept,
            "per_channel": True,
            "reduce_range": wanted.settings[WEIGHT_BITS] == "7",
            "weight_type": QuantType.QInt8,
        }
        dynamic = wanted.settings[RANGES] == "dynamic"
        if dynamic:
            quantize_dynamic(prepared, str(path), **common)
        else:
            quantize_static(
                prepared,
                str(path),
                _Chunks(model.graph.input[0].name, wanted.calibration_NTM),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                calibrate_method=CalibrationMethod.MinMax,
                **common,
            )
    how = "dynamic quantiser" if dynamic else "static quantiser: QDQ, least and largest values"
    return (
        f"onnxruntime's {how}, u8 activations, s{wanted.settings[WEIGHT_BITS]} weights per "
        f"channel, {', '.join(OPERATORS)}{told(kept)}"
    ) + ("" if dynamic else f"; {wanted.calibrated}")


def computed_in(model_path: Path, options: Any, provider: str) -> dict[str, int]:
    """Count what multiplies in the graph that the runtime makes of a model, by type.

    Where the options have it written to is changed.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="rtfbench-") as folder:
        optimised = str(Path(folder) / "optimised.onnx")
        options.optimized_model_filepath = optimised
        options.log_severity_level = 3  # it warns that the file is for this machine
        onnxruntime.InferenceSession(str(model_path), sess_options=options, providers=[provider])
        counts = Counter(node.op_type for node in onnx.load(optimised).graph.node)
    found = {kind: sum(counts[name] for name in names) for kind, names in COMPUTES.items()}
    return {kind: count for kind, count in found.items() if count}
