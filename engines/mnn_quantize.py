"""MNN in int8 by its own quantiser, in a process of its own: it prints, and ends as it likes.

python -m rtfbench.engines.mnn_quantize MODEL.mnn RESULT.mnn CONFIG.json
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rtfbench.engines import mnn_convert
from rtfbench.engines.mnn_convert import LIMIT_S
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import FloatArray, Quantization

#: How the converter stores weights in fewer bits.
OF_WEIGHTS = {"int8-weights": ("--weightQuantBits", "8"), "fp16-weights": ("--fp16",)}
METHOD = "KL"


def to_fewer_bits(onnx_path: Path, path: Path, wanted: Quantization) -> str:
    """Write a model whose weights are stored in fewer bits, and computed with in float32."""
    options = OF_WEIGHTS[wanted.precision]
    mnn_convert.to_mnn(onnx_path, path, static=wanted.static, more=options)
    return f"MNN's converter with {' '.join(options)}"


def to_int8(onnx_path: Path, path: Path, wanted: Quantization, *, limit_s: float = LIMIT_S) -> str:
    """Write a model that computes in int8.

    Raises:
        ConversionError: nothing was written.
    """
    path = path.resolve()
    with TemporaryDirectory(prefix=".mnn-", dir=path.parent) as name:
        folder = Path(name)
        mnn_convert.to_mnn(onnx_path, folder / "float.mnn", static=wanted.static)
        config = _write_config(folder, wanted.calibration_NTM, *_names(onnx_path))
        made = folder / "int8.mnn"
        files = [str(folder / "float.mnn"), str(made), str(config)]
        run_tool(
            [sys.executable, "-m", "rtfbench.engines.mnn_quantize", *files],
            folder=folder,
            made=[made],
            failed="MNN's quantiser failed",
            limit_s=limit_s,
        )
        made.replace(path)
    return (
        f"MNN's quantiser: {METHOD} for activations, largest values for weights; "
        f"{wanted.calibrated}"
    )


def _names(onnx_path: Path) -> tuple[str, str]:
    """Return the names of a model's input and output, which MNN keeps."""
    import onnx

    graph = onnx.load(str(onnx_path), load_external_data=False).graph
    return graph.input[0].name, graph.output[0].name


def _write_config(
    folder: Path, features_NTM: FloatArray, input_name: str, output_name: str
) -> Path:
    """Write the quantiser's configuration, and each chunk as a folder of text as it asks for."""
    chunks = folder / "chunks"
    for index, features_TM in enumerate(features_NTM):
        chunk = chunks / f"{index:05}"
        chunk.mkdir(parents=True)
        inputs = [{"name": input_name, "shape": [1, *features_TM.shape]}]
        (chunk / "input.json").write_text(
            json.dumps({"inputs": inputs, "outputs": [output_name]}), encoding="utf-8"
        )
        np.savetxt(chunk / f"{input_name}.txt", features_TM.reshape(-1), fmt="%.9g")
    config = folder / "config.json"
    content = {
        "path": f"{chunks}/",
        "input_type": "sequence",
        "used_sample_num": len(features_NTM),
        "feature_quantize_method": METHOD,
        "weight_quantize_method": "MAX_ABS",
        "feature_clamp_value": 127,
        "weight_clamp_value": 127,
        "batch_size": 1,
        "quant_bits": 8,
        "skip_quant_op_names": [],
        # Of pictures, and asked for all the same.
        "format": "RGB",
        "mean": [0.0],
        "normal": [1.0],
        "width": features_NTM.shape[2],
        "height": features_NTM.shape[1],
    }
    config.write_text(json.dumps(content), encoding="utf-8")
    return config


def main() -> None:
    """Run the quantiser on `MODEL RESULT CONFIG`."""
    import _tools

    _tools.mnnquant(["mnnquant", *sys.argv[1:]])


if __name__ == "__main__":
    main()
