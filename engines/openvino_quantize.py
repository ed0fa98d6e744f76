"""ONNX in int8 by nncf, OpenVINO's quantiser."""

from pathlib import Path

from engines.onnx_layers import FLOAT_LAYERS, layers_in_float, told
from engines.openvino_quiet import keep_telemetry_out
from engines.protocol import ConversionError, Quantization

#: What may be quantised: what multiplies, and what stands between. The statistics of the pooling
#: are a thousandth of the operations, and in int8 they cost more accuracy than all the rest.
MULTIPLIES = ("Conv", "MatMul", "Gemm")
OPERATORS = frozenset({*MULTIPLIES, "Add", "Relu"})


def to_int8(onnx_path: Path, path: Path, wanted: Quantization) -> str:
    """Write a model with quantise and dequantise nodes where nncf puts them.

    Raises:
        ConversionError: nncf is not installed.
    """
    keep_telemetry_out()
    try:
        import nncf
    except ImportError as error:
        raise ConversionError(f"{error}; install it with: pip install 'rtfbench[nncf]'") from error
    import onnx

    model = onnx.load(str(onnx_path))
    name = model.graph.input[0].name
    chunks = nncf.Dataset([{name: features_TM[None]} for features_TM in wanted.calibration_NTM])
    kept = layers_in_float(model, MULTIPLIES, wanted.settings[FLOAT_LAYERS])
    others = sorted({node.op_type for node in model.graph.node} - OPERATORS)
    quantised = nncf.quantize(
        model,
        chunks,
        subset_size=len(wanted.calibration_NTM),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=kept, types=others, validate=False),
    )
    onnx.save(quantised, str(path))
    return (
        "nncf: post-training, mixed preset, weights per channel, fast bias correction, "
        f"{', '.join(sorted(OPERATORS))}{told(kept)}; {wanted.calibrated}"
    )
