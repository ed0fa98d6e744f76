"""MNN through the Interpreter of its wheel, or a library in the user's folder through a shim.

`mnn` is the full library. `mnn-mini` is the contract of the minimal one (built with
MNN_BUILD_MINI): fixed shapes only. That leaves out shape inference and geometry. Given a dynamic
model it reports no error, runs in no time and writes no output, so a dynamic model is refused. No
package has that library: the setting `home` names the folder of one. Without it, `mnn-mini` opens a
static model in a session of the wheel's full library that is never resized, and says so in a note.

The wheel's binding takes any settings without complaint, so nothing here relies on it: the
backend is read back, and threads are verified by the process around it. MNN keeps one thread
pool a process, sized by the first session that asks for more than one thread; later, larger
requests are silently capped. Hence one process a cell.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import mnn_files
from rtfbench.engines.base import EngineBase, RuntimeEngine, RuntimeSession, SessionBase, chosen
from rtfbench.engines.native import library
from rtfbench.engines.native.engine import Kind, NativeMnnEngine
from rtfbench.engines.profiling import PASSING, PREPARING, OperatorTime, Profiler
from rtfbench.engines.protocol import (
    FLOAT32,
    HOME,
    Availability,
    EngineError,
    FloatArray,
    Form,
    Format,
    Library,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    Support,
)

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


# What Interpreter.getSessionInfo tells by number (MNN's Interpreter::SessionInfoCode).
MEMORY_MB, MEGA_OPERATIONS, BACKENDS = 0, 1, 2
MULTIPLYING = ("Convolution", "ConvolutionDepthwise", "MatMul", "BatchMatMul", "Deconvolution")
CPU = {"backend": "CPU"}
#: Asks for the wheel's library where another one is named.
WHEEL = "wheel"
#: The same choices for every engine on this library.
CHOICES: Mapping[str, tuple[str, ...]] = {"precision": ("normal", "low", "high"), HOME: ()}


class MnnFileEngine(RuntimeEngine):
    """What engines that read MNN files have in common.

    Settings: `precision` (the WeSpeaker runtime asks for `low`; on x86 it makes no difference),
    and `home`, the folder of a library to use in place of the wheel's.
    """

    #: Which build of MNN a library of the user's own has to be.
    kind: Kind
    cure = "pip install 'rtfbench[mnn]'"
    format: Format = "mnn"
    distribution = "MNN"
    choices: Mapping[str, tuple[str, ...]] = CHOICES
    first_run = "weight preparation"
    fewer_operations = "Winograd convolutions"
    run_in_python = RUN_IN_PYTHON
    precisions: Mapping[Precision, Precision] = {
        FLOAT32: FLOAT32,
        "fp16-weights": "fp16-weights",
        "int8-weights": "int8-weights",
        "int8": "int8",
    }

    def probe(self) -> Availability:
        """Import MNN, which prints to stdout."""
        try:
            check_free()
            import MNN
        except EngineError as error:
            return Availability(False, reason=str(error))
        except ImportError as error:
            return self.missing(error)
        return Availability(True, version=MNN.version(), build="wheel, full library")

    def on(self, settings: Mapping[str, str]) -> EngineBase:
        """Return the engine on the library that the setting `home` names."""
        home = settings.get(HOME)
        return NativeMnnEngine(self, self.kind, home) if home else self

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> SessionBase:
        """Create a session; a dynamic model gets its shape at the first run."""
        if settings[HOME]:
            return self.on(settings).open(artifact, options)
        return MnnSession(artifact, options.threads, settings["precision"])

    def convert(self, onnx_path: Path, path: Path, *, static: bool) -> None:
        """Use the wheel's converter."""
        mnn_files.to_mnn(onnx_path, path, static=static)

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Use the wheel's converter for weights, its quantiser for all the rest."""
        if wanted.precision != "int8":
            return mnn_files.to_fewer_bits(onnx_path, path, wanted)
        return mnn_files.to_int8(onnx_path, path, wanted)

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return the session's configuration; nothing where the library is the user's own."""
        settings = chosen(self, options)
        if settings[HOME]:
            return ""
        config = {**CPU, "numThread": options.threads, "precision": settings["precision"]}
        return f"""import MNN

interpreter = MNN.Interpreter({str(artifact.path)!r})
session = interpreter.createSession({config!r})
"""

    def convert_in_python(self, onnx: str, path: str, *, static: bool) -> str:
        """Use the wheel's converter."""
        return f"""\
import _tools  # what MNN's program mnnconvert calls

_tools.mnnconvert({mnn_files.command(onnx, path, static=static)!r})
"""

    def inner_tensors(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        features_BTM: FloatArray,
        names: Collection[str],
    ) -> Mapping[str, FloatArray] | None:
        """Take them in the callbacks of a run; the shim of a user's own library has none."""
        settings = chosen(self, options)
        if settings[HOME]:
            return None
        inner = InnerTensors(names)
        session = MnnSession(artifact, options.threads, settings["precision"], inner)
        session.run(features_BTM)
        session.close()
        return inner.found

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler | None:
        """Time operators between callbacks; the shim of a user's own library has none."""
        settings = chosen(self, options)
        if settings[HOME]:
            return None
        precision = settings["precision"]
        return MnnProfiler(lambda watch: MnnSession(artifact, options.threads, precision, watch))


class MnnEngine(MnnFileEngine):
    """The full MNN library: dynamic or static models."""

    name = "mnn"
    kind = "full"
    library: Library | None = Library("RTFBENCH_MNN_HOME", "--mnn-home", own=WHEEL)


NOTE = (
    "mnn-mini: a static model in a fixed-shape session of the wheel's full library; "
    "MNN's minimal library itself is in no package, --mnn-mini-home names one"
)


class MnnMiniEngine(MnnFileEngine):
    """Static MNN models, never resized."""

    name = "mnn-mini"
    kind = "minimal"
    default_form: Form = "static"
    stands_in = True
    library: Library | None = Library("RTFBENCH_MNN_MINI_HOME", "--mnn-mini-home", own=WHEEL)

    def probe(self) -> Availability:
        """Import MNN; the note says which library stands in."""
        found = super().probe()
        return replace(found, note=NOTE) if found.ok else found

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take static MNN models only."""
        if artifact.form == "static":
            return super().supports(artifact, options)
        cure = "export it with --num-frames, or choose --form static"
        return Support(False, f"mnn-mini needs a static model; {cure}")


def check_free() -> None:
    """Refuse the wheel in a process that holds another MNN."""
    other = library.folder_in_use()
    if other is not None:
        raise EngineError(
            f"this process has loaded the MNN of {other}, and cannot hold the wheel's too"
        )


class MnnSession(RuntimeSession):
    """One Interpreter with one session."""

    engine = "MNN"
    copy_ns: int = 0

    def __init__(
        self, artifact: ModelArtifact, threads: int, precision: str, watch: Watch | None = None
    ) -> None:
        """Create a session; with a watch, its operators and its preparation are timed."""
        check_free()
        import MNN

        self._mnn = MNN
        self._watch = watch
        if not artifact.path.is_file() or artifact.path.stat().st_size == 0:
            raise EngineError(f"{artifact.path}: no such model file, or an empty one")
        try:
            interpreter: Any = MNN.Interpreter(str(artifact.path))
            self._session: Any = interpreter.createSession(
                {**CPU, "numThread": threads, "precision": precision}
            )
        except Exception as error:  # the binding raises bare Exception; details go to stdout
            raise EngineError(
                f"{artifact.path}: MNN cannot load this model; is it complete, and made by MNN's "
                "converter?"
            ) from error
        settings = {"threads": threads, "precision": precision, "backend": "CPU"}
        super().__init__(artifact, interpreter, settings)
        self._input: Any = interpreter.getSessionInput(
            self._session, *filter(None, [artifact.input_name])
        )
        self._output_name = [*filter(None, [artifact.output_name])]
        shape = tuple(self._input.getShape())
        mnn_files.check_opened(artifact, shape, int(self._info(BACKENDS)))

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Settings, and what the session reports of itself once it has a shape."""
        if self._loaded is None:
            return self._effective
        return {**self._effective, "session_memory_mb": round(self._info(MEMORY_MB), 3)}

    @property
    def mega_macs(self) -> float | None:
        """What MNN counts; nothing once the session is closed."""
        return None if self._loaded is None else self._info(MEGA_OPERATIONS)

    def operators(self) -> Mapping[str, int]:
        """Count convolutions and products as a run's callbacks name them; a shape must be set."""
        counts = {"int8": 0, "float32": 0}

        def count(_tensors: Any, info: Any) -> bool:
            name, _, computes = str(info.getType()).partition(" ")
            if name in MULTIPLYING:
                counts["int8" if "INT8" in computes else "float32"] += 1
            return True

        self._loaded.runSessionWithCallBackInfo(self._session, lambda *_: True, count)
        return {kind: number for kind, number in counts.items() if number}

    def _info(self, code: int) -> float:
        return float(self._loaded.getSessionInfo(self._session, code))

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]; a new shape of a dynamic model is resized to first."""
        began = time.perf_counter_ns()
        shape = features_BTM.shape
        if tuple(self._input.getShape()) != shape:
            if self._artifact.form == "static":
                raise EngineError(
                    f"{self._artifact.name} takes {self._input.getShape()}, not {shape}"
                )
            self._resize(shape)
        self._input.copyFrom(host_tensor(self._mnn, features_BTM))
        copied = time.perf_counter_ns()
        code = self._execute()
        if code != 0:
            raise EngineError(f"MNN failed with error code {code}")
        ran = time.perf_counter_ns()
        output = self._loaded.getSessionOutput(self._session, *self._output_name)
        embeddings_BD = values_of(self._mnn, output)
        self.copy_ns += copied - began + time.perf_counter_ns() - ran
        return embeddings_BD

    def _resize(self, shape: tuple[int, ...]) -> None:
        """Give a dynamic model its shape, which prepares it."""
        began = time.perf_counter_ns()
        self._loaded.resizeTensor(self._input, shape)
        self._loaded.resizeSession(self._session)
        if self._watch is not None:
            self._watch.prepared_ns = time.perf_counter_ns() - began

    def _execute(self) -> int:
        """Run the operators, and return MNN's error code."""
        if self._watch is None:
            return int(self._loaded.runSession(self._session))
        before, after = self._watch.before, self._watch.after
        return int(self._loaded.runSessionWithCallBackInfo(self._session, before, after))

    def close(self) -> None:
        """Drop session and model."""
        super().close()
        self._input = self._session = None
