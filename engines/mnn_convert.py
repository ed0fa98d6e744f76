"""ONNX to MNN, in float32 and in fewer bits, by the programs of MNN's wheel.

Each runs in a process of its own: it prints to standard output, and ends as it likes. Its console
script is not used: that installs a telemetry package when it runs, and reports to a server.

python -m rtfbench.engines.mnn_convert PROGRAM [WORD...]
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import FloatArray, Quantization

#: The largest models of the catalog take some seconds.
LIMIT_S = 600.0
#: How the converter stores weights in fewer bits.
OF_WEIGHTS = {"int8-weights": ("--weightQuantBits", "8"), "fp16-weights": ("--fp16",)}
METHOD = "KL"


def command(onnx: str, mnn: str, *, static: bool) -> list[str]:
    """Return the converter's words; `static` stores all shapes, as the minimal library needs."""
    words = ["mnnconvert", "-f", "ONNX", "--modelFile", onnx, "--MNNModel", mnn]
    return [*words, "--bizCode", "MNN", *(["--saveStaticModel"] if static else [])]


def to_mnn(
    onnx_path: Path,
    mnn_path: Path,
    *,
    static: bool,
    more: Sequence[str] = (),
    limit_s: float = LIMIT_S,
) -> None:
    """Convert a model, as a whole or not at all; `more` are further options of the converter.

    Raises:
        ConversionError: nothing was written.
    """
    mnn_path = mnn_path.resolve()
    mnn_path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".mnn-", dir=mnn_path.parent) as folder:
        part = Path(folder) / mnn_path.name
        words = [*command(str(onnx_path.resolve()), str(part), static=static), *more]
        _run(words, part, f"{onnx_path}: cannot be converted to MNN", limit_s)
        part.replace(mnn_path)


def to_fewer_bits(onnx_path: Path, path: Path, wanted: Quantization) -> str:
    """Write a model whose weights are stored in fewer bits, and computed with in float32."""
    options = OF_WEIGHTS[wanted.precision]
    to_mnn(onnx_path, path, static=wanted.static, more=options)
    return f"MNN's converter with {' '.join(options)}"


def to_int8(onnx_path: Path, path: Path, wanted: Quantization) -> str:
    """Write a model that computes in int8.

    Raises:
        ConversionError: nothing was written.
    """
    path = path.resolve()
    with TemporaryDirectory(prefix=".mnn-", dir=path.parent) as name:
        source, made = Path(name) / "float.mnn", Path(name) / "int8.mnn"
        to_mnn(onnx_path, source, static=wanted.static)
        config = _write_config(Path(name), wanted.calibration_NTM, *_names(onnx_path))
        words = ["mnnquant", str(source), str(made), str(config)]
        _run(words, made, "MNN's quantiser failed", LIMIT_S)
        made.replace(path)
    return (
        f"MNN's quantiser: {METHOD} for activations, largest values for weights; "
        f"{wanted.calibrated}"
    )


def _run(words: Sequence[str], made: Path, failed: str, limit_s: float) -> None:
    # The converter keeps large tensors in a file of a fixed name in its working folder: two
    # converters in one folder would write zeros into each other's models.
    run_tool(
        [sys.executable, "-m", "rtfbench.engines.mnn_convert", *words],
        folder=made.parent,
        made=[made],
        failed=failed,
        limit_s=limit_s,
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
    """Run a program of MNN's wheel on its words, the first of which is its name."""
    import _tools

    getattr(_tools, sys.argv[1])(sys.argv[1:])


if __name__ == "__main__":
    main()
