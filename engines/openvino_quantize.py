"""ONNX in int8 by nncf, OpenVINO's quantiser."""

from pathlib import Path

from engines.protocol import ConversionError, FloatArray

TELEMETRY = "openvino_telemetry"


def to_int8(onnx_path: Path, path: Path, features_NTM: FloatArray) -> str:
    """Write a model with quantise and dequantise nodes where nncf puts them.

    Raises:
        ConversionError: nncf is not installed.
    """
    import sys

    # As in the engine: None keeps it from being imported, and nothing is reported to anybody.
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]
    try:
        import nncf
    except ImportError as error:
        raise ConversionError(f"{error}; install it with: pip install 'rtfbench[nncf]'") from error
    import onnx

    model = onnx.load(str(onnx_path))
    name = model.graph.input[0].name
    chunks = nncf.Dataset([{name: features_TM[None]} for features_TM in features_NTM])
    quantised = nncf.quantize(
        model, chunks, subset_size=len(features_NTM), preset=nncf.QuantizationPreset.MIXED
    )
    onnx.save(quantised, str(path))
    return "nncf: post-training, mixed preset, weights per channel, fast bias correction"
