"""MNN's inner tensors, and MNN in a script of a few lines: for who looks for a wrong operator."""

from collections.abc import Collection
from typing import Any

import numpy as np

from engines.mnn_profile import Watch
from engines.protocol import ONNX, FloatArray

_RUN = """\
import MNN

interpreter = MNN.Interpreter({path!r})
session = interpreter.createSession({config!r})
layout, kept = MNN.Tensor_DimensionType_Caffe, []
for name, value in inputs.items():
    tensor = interpreter.getSessionInput(session, name)
    if tuple(tensor.getShape()) != value.shape:
        interpreter.resizeTensor(tensor, value.shape)
        interpreter.resizeSession(session)
for name, value in inputs.items():
    kept.append(MNN.Tensor(value.shape, MNN.Halide_Type_Float, value, layout))
    interpreter.getSessionInput(session, name).copyFrom(kept[-1])
interpreter.runSession(session)
output = interpreter.getSessionOutput(session)
zeros = np.zeros(output.getShape(), np.float32)
host = MNN.Tensor(zeros.shape, MNN.Halide_Type_Float, zeros, layout)
output.copyToHostTensor(host)
found = np.array(host.getNumpyData())
"""


def run_in_python(onnx: str, config: dict[str, str | int], *, static: bool) -> str:
    """Return lines that convert an ONNX file with the wheel's converter, and run `inputs`."""
    path = onnx.removesuffix(ONNX) + "mnn"
    words = ["mnnconvert", "-f", "ONNX", "--modelFile", onnx, "--MNNModel", path]
    words += ["--bizCode", "MNN", *["--saveStaticModel"] * static]
    imported = "import _tools  # what MNN's program mnnconvert calls"
    run = _RUN.format(path=path, config=config)
    return f"{imported}\n\n_tools.mnnconvert({words!r})\n{run}"


class InnerTensors(Watch):
    """Keeps what operators of certain names compute."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self._names = frozenset(names)
        self.found: dict[str, FloatArray] = {}

    def after(self, tensors: Any, info: Any) -> bool:
        """Copy an operator's first output, in plain (Caffe) layout, before memory is reused."""
        name = info.getName()
        if name in self._names and tensors:
            import MNN

            zeros = np.zeros(tensors[0].getShape(), np.float32)
            host: Any = MNN.Tensor(
                zeros.shape, MNN.Halide_Type_Float, zeros, MNN.Tensor_DimensionType_Caffe
            )
            tensors[0].copyToHostTensor(host)
            self.found[name] = np.array(host.getNumpyData(), np.float32)
        return True
