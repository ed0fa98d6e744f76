"""What MNN tells in the callbacks before and after each operator: its times, and inner tensors."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rtfbench.engines.profiling import PASSING, PREPARING, OperatorTime, Profiler, Runnable
from rtfbench.engines.protocol import FloatArray

#: What the converter and the runtime append to the name of the tensor that is computed.
ADDED = re.compile(r"(_raster_\d+|__matmul_converted|_matmul_converted|__\d+)$")


class Timed(NamedTuple):
    """One operator between its callbacks, by a clock of nanoseconds."""

    name: str
    kind: str
    began_ns: int
    ended_ns: int


class Watch:
    """Takes the times of one session: of its operators, of copies and of its preparation."""

    def __init__(self) -> None:
        self.operators: list[Timed] = []
        self.prepared_ns = 0
        self._begun: tuple[str, str, int] = ("", "", 0)

    def before(self, _tensors: Any, info: Any) -> bool:
        """Note that an operator begins; the clock is read last."""
        self._begun = (info.getName(), info.getType(), time.perf_counter_ns())
        return True

    def after(self, _tensors: Any, _info: Any) -> bool:
        """Note that it ended; the clock is read first."""
        ended_ns = time.perf_counter_ns()
        self.operators.append(Timed(*self._begun, ended_ns))
        return True

    def forget(self) -> None:
        """Begin with another run."""
        self.operators, self.prepared_ns = [], 0


class WatchedSession(Runnable, Protocol):
    """A session that counts its copies, the preparation among them."""

    copy_ns: int


class MnnProfiler(Profiler):
    """A session with a watch."""

    def __init__(self, open_session: Callable[[Watch], WatchedSession]) -> None:
        self._watch = Watch()
        self._watched = open_session(self._watch)
        self._copied_ns = 0
        self._runs: list[tuple[OperatorTime, ...]] = []
        super().__init__(self._watched)

    def after_run(self) -> None:
        """Take what the watch has."""
        copied_ns = self._watched.copy_ns - self._copied_ns
        self._copied_ns = self._watched.copy_ns
        self._runs.append(tuple(operators(self._watch, copied_ns)))
        self._watch.forget()

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Return what was taken."""
        return self._runs


def operators(watch: Watch, copied_ns: int) -> Iterator[OperatorTime]:
    """Yield what a run consists of.

    Args:
        watch: has seen the run.
        copied_ns: what the session spent on shapes and copies.
    """
    if watch.prepared_ns:
        yield OperatorTime("resizeSession", PREPARING, watch.prepared_ns)
    yield OperatorTime("input and output", PASSING, copied_ns - watch.prepared_ns)
    for each in watch.operators:
        kind, _, computes = each.kind.partition(" ")
        yield OperatorTime(
            name=each.name,
            kind=kind,
            ns=each.ended_ns - each.began_ns,
            sources=(each.name, *_shorter(each.name)),
            implementation=computes,
        )


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
