"""MNN's model files: what one says of itself, and how one is made of ONNX.

A minimal library does not check the file that it is given: it reads what is not there, and takes
a model without stored shapes for one that needs no work. Both are found here, without a runtime.
The layout is that of FlatBuffers (a table points to a list of where its fields lie); the numbers of
the fields are those of `table Net` in MNN's schema.

Files are made, in float32 and in fewer bits, by the programs of MNN's wheel. Each runs in a process
of its own: it prints to standard output, and ends as it likes. Its console script is not used: that
installs a telemetry package when it runs, and reports to a server.

python -m rtfbench.engines.mnn_files PROGRAM [WORD...]
"""

import json
import mmap
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import (
    EngineError,
    FloatArray,
    ModelArtifact,
    Quantization,
    SettingMismatchError,
)

#: MNN_FORWARD_CPU, and MNN_FORWARD_CPU_EXTENSION: the CPU with its instruction-set extension.
CPU_BACKENDS = (0, 13)

#: Fields of `Net` that point to something, and whether that is a list of pointers again.
_NAME, _TENSORS, _EXTRA, _OPERATORS, _OUTPUTS, _TENSOR_NAMES = 0, 1, 2, 3, 4, 7
_LISTS = (_TENSORS, _OPERATORS, _OUTPUTS, _TENSOR_NAMES)
_USAGE = 9
#: `Usage_INFERENCE_STATIC`: the converter stored every shape (`saveStaticModel`).
_STATIC = 2


def check_opened(artifact: ModelArtifact, input_shape: Sequence[int], backend: int) -> None:
    """Compare what a session says of itself with what is known of its model.

    Raises:
        EngineError: the model is of another form.
        SettingMismatchError: it computes on no CPU.
    """
    if any(size < 0 for size in input_shape) != (artifact.form == "dynamic"):
        raise EngineError(
            f"{artifact.path}: declared {artifact.form}, but its input is {input_shape}"
        )
    if backend not in CPU_BACKENDS:
        raise SettingMismatchError(f"MNN: asked for the CPU, got backend {backend}")


def stores_shapes(path: Path) -> bool:
    """Say whether a model file needs no shape inference, once it is known not to be cut off.

    The file is written back to front: what its first fields point to lies at its very end.

    Raises:
        EngineError: it is missing, empty, cut off, or no MNN model; the message names it.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data)
    except (OSError, ValueError) as error:  # a ValueError is an empty file
        raise EngineError(f"{path}: no such model file, or an empty one") from error
    except (struct.error, IndexError) as error:
        raise EngineError(
            f"{path}: not a complete MNN model; copy it again, or convert it again with: "
            "rtfbench export"
        ) from error


def _read(data: mmap.mmap) -> bool:
    net = _unsigned(data, 0)
    offsets = _offsets(data, net)
    for field in (_NAME, _EXTRA, *_LISTS):
        if offsets[field]:
            place = net + offsets[field]
            target = place + _unsigned(data, place)
            if field in _LISTS:
                _check_list(data, target)
            elif field == _NAME:
                data[target + 4 + _unsigned(data, target)]  # the zero at a text's end
            else:
                _offsets(data, target)
    if not offsets[_OPERATORS]:
        raise IndexError("no operators")
    usage = data[net + offsets[_USAGE]] if offsets[_USAGE] else 0
    return usage == _STATIC


def _check_list(data: mmap.mmap, start: int) -> None:
    """Touch what each entry of a list points to."""
    for index in range(_unsigned(data, start)):
        place = start + 4 * (index + 1)
        _unsigned(data, place + _unsigned(data, place))


def _offsets(data: mmap.mmap, table: int) -> list[int]:
    """Return where in a table each of its fields lies, 0 for one that is absent."""
    places = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, places)[0] if places >= 0 else 0
    if size < 4:
        raise IndexError("no table")
    found = list(struct.unpack_from(f"<{(size - 4) // 2}H", data, places + 4))
    return found + [0] * (_USAGE + 1 - len(found))


def _unsigned(data: mmap.mmap, place: int) -> int:
    value: int = struct.unpack_from("<I", data, place)[0]
    return value


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
        [sys.executable, "-m", "rtfbench.engines.mnn_files", *words],
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
