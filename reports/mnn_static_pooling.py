"""Show that MNN's static conversion gets one-dimensional pooling wrong.

    .venv/bin/python reports/mnn_static_pooling.py

Prints, for several input lengths, the largest error of an AveragePool (kernel and stride 100)
relative to its largest value: over one axis as converted, over one axis and static, over two axes
(one of them of length 1) and static. Last, whether the wrong output is the beginning of the input.
"""

import tempfile
from pathlib import Path

import MNN
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from engines.mnn_convert import to_mnn
from onnx import TensorProto, helper

KERNEL = 100
LENGTHS = (99, 100, 101, 150, 199, 200, 249)


def pool_model(length: int, *, axes: int) -> onnx.ModelProto:
    """Return a model of one operator that averages windows of the last axis."""
    around = [1] * (axes - 1)
    windows = -(-length // KERNEL)
    node = helper.make_node(
        "AveragePool",
        ["x"],
        ["y"],
        kernel_shape=[*around, KERNEL],
        strides=[*around, KERNEL],
        ceil_mode=1,
        count_include_pad=1,
    )
    shape = [1, 8, *around]
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*shape, length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape, windows])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run_mnn(path: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Run a model of fixed shape in MNN's interpreter."""
    interpreter = MNN.Interpreter(str(path))
    session = interpreter.createSession({"backend": "CPU", "numThread": 1})
    layout = MNN.Tensor_DimensionType_Caffe
    interpreter.getSessionInput(session).copyFrom(
        MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, layout)
    )
    interpreter.runSession(session)
    output = interpreter.getSessionOutput(session)
    zeros = np.zeros(output.getShape(), np.float32)
    host = MNN.Tensor(zeros.shape, MNN.Halide_Type_Float, zeros, layout)
    output.copyToHostTensor(host)
    return np.array(host.getNumpyData(), np.float32)


def pooled(length: int, *, axes: int, static: bool) -> tuple[float, bool]:
    """Return MNN's error against onnxruntime, and whether MNN averaged nothing.

    Then its output is the input's first values, taken as if channels came last.
    """
    x = np.random.default_rng(0).random((1, 8, *[1] * (axes - 1), length), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        onnx_path, mnn_path = Path(folder) / "pool.onnx", Path(folder) / "pool.mnn"
        onnx.save(pool_model(length, axes=axes), str(onnx_path))
        session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": x})[0]
        to_mnn(onnx_path, mnn_path, static=static)
        found = run_mnn(mnn_path, x).reshape(expected.shape)
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    beginning = x.ravel()[: found.size].reshape(found.shape[-1], -1).T
    return error, bool(np.array_equal(found.reshape(beginning.shape), beginning))


def main() -> None:
    """Print one line a length."""
    for length in LENGTHS:
        converted, _ = pooled(length, axes=1, static=False)
        wrong, copied = pooled(length, axes=1, static=True)
        flat, _ = pooled(length, axes=2, static=True)
        print(
            f"{length} frames: {converted:.0e} converted, {wrong:.0e} static, "
            f"{flat:.0e} static over two axes; beginning of the input: {copied}"
        )


if __name__ == "__main__":
    main()
