"""MNN's inner tensors, and MNN in a script of a few lines: for who looks for a wrong operator."""

from collections.abc import Collection
from typing import Any

import numpy as np

from engines.mnn_profile import Watch
from engines.protocol import FloatArray

#: Feeds `inputs` to an open session, and leaves its output in `found`.
RUN_IN_PYTHON = """\
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


def convert_in_python(onnx: str, path: str, *, static: bool) -> str:
    """Return lines that convert a file with the wheel's converter."""
    words = ["mnnconvert", "-f", "ONNX", "--modelFile", onnx, "--MNNModel", path]
    words += ["--bizCode", "MNN", *(["--saveStaticModel"] if static else [])]
    return f"""\
import _tools  # what MNN's program mnnconvert calls

_tools.mnnconvert({words!r})
"""


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
