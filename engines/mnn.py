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

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtfbench.engines import mnn_convert, mnn_file
from rtfbench.engines.base import EngineBase, RuntimeEngine, RuntimeSession, SessionBase, chosen
from rtfbench.engines.mnn_callbacks import (
    RUN_IN_PYTHON,
    InnerTensors,
    MnnProfiler,
    Watch,
    host_tensor,
    values_of,
)
from rtfbench.engines.native import library
from rtfbench.engines.native.engine import Kind, NativeMnnEngine
from rtfbench.engines.profiling import Profiler
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
        mnn_convert.to_mnn(onnx_path, path, static=static)

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Use the wheel's converter for weights, its quantiser for all the rest."""
        if wanted.precision != "int8":
            return mnn_convert.to_fewer_bits(onnx_path, path, wanted)
        return mnn_convert.to_int8(onnx_path, path, wanted)

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

_tools.mnnconvert({mnn_convert.command(onnx, path, static=static)!r})
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
        mnn_file.check_opened(artifact, shape, int(self._info(BACKENDS)))

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
