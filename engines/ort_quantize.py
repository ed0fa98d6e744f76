"""ONNX in int8 by onnxruntime's own quantiser, and what its optimised graphs compute in."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtfbench.engines.onnx_files import FLOAT_LAYERS, layers_in_float, told
from rtfbench.engines.protocol import FloatArray, Quantization

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
