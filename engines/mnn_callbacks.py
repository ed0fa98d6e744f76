"""What MNN tells in the callbacks before and after each operator: its times, and inner tensors."""

import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from rtfbench.engines.profiling import PASSING, PREPARING, OperatorTime, Profiler
from rtfbench.engines.protocol import FloatArray

#: What the converter and the runtime append to the name of the tensor that is computed.
ADDED = re.compile(r"(_raster_\d+|__matmul_converted|_matmul_converted|__\d+)$")


def host_tensor(mnn: Any, array: FloatArray) -> Any:
    """Return a tensor with a copy of an array in plain (Caffe) layout."""
    layout = mnn.Tensor_DimensionType_Caffe
    return mnn.Tensor(array.shape, mnn.Halide_Type_Float, np.ascontiguousarray(array), layout)


def values_of(mnn: Any, tensor: Any) -> FloatArray:
    """Return what a tensor holds; the host tensor's view would belong to that."""
    host = host_tensor(mnn, np.zeros(tensor.getShape(), np.float32))
    tensor.copyToHostTensor(host)
    return np.array(host.getNumpyData(), np.float32)


class Watch:
    """Takes the times of one session: of its operators, of copies and of its preparation."""

    def __init__(self) -> None:
        #: Of each its name and kind, and when it began and ended, in nanoseconds.
        self.operators: list[tuple[str, str, int, int]] = []
        self.prepared_ns = 0
        self._begun: tuple[str, str, int] = ("", "", 0)

    def before(self, _tensors: Any, info: Any) -> bool:
        """Note that an operator begins; the clock is read last."""
        self._begun = (info.getName(), info.getType(), time.perf_counter_ns())
        return True

    def after(self, _tensors: Any, _info: Any) -> bool:
        """Note that it ended; the clock is read first."""
        ended_ns = time.perf_counter_ns()
        self.operators.append((*self._begun, ended_ns))
        return True

    def forget(self) -> None:
        """Begin with another run."""
        self.operators, self.prepared_ns = [], 0


class MnnProfiler(Profiler):
    """A session with a watch."""

    def __init__(self, open_session: Callable[[Watch], Any]) -> None:
        """Open a session, whose copies count the preparation too."""
        self._watch, self._copied_ns = Watch(), 0
        super().__init__(open_session(self._watch))

    def after_run(self) -> None:
        """Take what the watch has."""
        before_ns, self._copied_ns = self._copied_ns, self._session.copy_ns
        self._runs.append(tuple(operators(self._watch, self._copied_ns - before_ns)))
        self._watch.forget()


def operators(watch: Watch, copied_ns: int) -> Iterator[OperatorTime]:
    """Yield what a run consists of that a watch has seen, copies and preparation among them."""
    if watch.prepared_ns:
        yield OperatorTime("resizeSession", PREPARING, watch.prepared_ns)
    yield OperatorTime("input and output", PASSING, copied_ns - watch.prepared_ns)
    for name, whole, began_ns, ended_ns in watch.operators:
        kind, _, computes = whole.partition(" ")
        yield OperatorTime(name, kind, ended_ns - began_ns, (name, *_shorter(name)), computes)


def _shorter(name: str) -> Iterator[str]:
    """Yield a name without what was appended to it, once and again."""
    while (shorter := ADDED.sub("", name)) != name:
        yield shorter
        name = shorter


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

            self.found[name] = values_of(MNN, tensors[0])
        return True
