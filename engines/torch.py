"""torch: the exported program of a model, run eagerly or compiled, on the CPU or on a device.

On a device with memory of its own copies are told apart, and the device is waited for. Other
formats are made from the same program, by converters in a process of their own.
"""

import os
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.engines import cpu, cuda
from rtfbench.engines.base import RuntimeEngine, RuntimeSession, check_taken, chosen, last_line
from rtfbench.engines.processes import run_tool
from rtfbench.engines.profiling import OperatorTime, Profiler
from rtfbench.engines.protocol import (
    CPU,
    CUDA,
    FLOAT32,
    TF32,
    Availability,
    ConversionError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    Precision,
    SessionOptions,
    kind_of,
    number_of,
)

#: What computes; the other nodes of a program name inputs and weights.
COMPUTES = ("call_function", "call_method", "call_module")


def operator_of(target: Any) -> str:
    """Return an operator's name: `conv2d` of `aten.conv2d.default`."""
    packet = getattr(target, "overloadpacket", target)
    return str(getattr(packet, "__name__", packet)).strip("_")


class TorchProfiler(Profiler):
    """A session whose program is computed node by node, in the order in which torch would."""

    def __init__(self, session: "TorchEngineSession") -> None:
        super().__init__(session)
        self._run: list[OperatorTime] = []
        self._compute_node = session.interpret(self._timed)

    def _timed(self, node: Any) -> Any:
        before = time.perf_counter_ns()
        found = self._compute_node(node)
        took_ns = time.perf_counter_ns() - before
        if node.op in COMPUTES:
            weights = (str(each.target) for each in node.all_input_nodes if each.op == "get_attr")
            kind = operator_of(node.target)
            self._run.append(OperatorTime(node.name, kind, took_ns, (node.name, *weights)))
        return found

    def after_run(self) -> None:
        """Take the operators."""
        self._runs.append(tuple(self._run))
        self._run = []


#: A length to trace with; the exported program must not depend on it.
EXAMPLE_FRAMES = 200
#: XVEC takes no fewer.
LEAST_FRAMES = 16
IMAGE_AXES = 4
#: What Inductor compiles with where CXX names nothing else.
COMPILER = "g++"
NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")


class TorchEngine(RuntimeEngine):
    """torch in inference mode, on a program that `torch.export` wrote.

    Settings: `mode`, eager or compiled by Inductor, which needs a C++ compiler and half a minute at
    the first run; `layout` of the kernels of images, `channels_last` being what its convolutions
    prefer on some CPUs.
    """

    name = distribution = "torch"
    cure = "pip install 'rtfbench[zoo]'"
    format: Format = "pt2"
    from_onnx = False
    may_lack = ("bf16", "mode=compiled")
    devices = (CPU, CUDA)
    #: What torch calls each.
    places: Mapping[str, str] = {CPU: "cpu", CUDA: "cuda"}
    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32, "bf16": FLOAT32}
    choices: Mapping[str, tuple[str, ...]] = {
        "mode": ("eager", "compiled"),
        "layout": ("contiguous", "channels_last"),
    }

    def probe(self) -> Availability:
        """Import torch."""
        try:
            import torch
        except ImportError as error:
            return self.missing(error)
        return Availability(True, version=torch.__version__, build="oneDNN")

    def precisions_on(self, device: str) -> Mapping[Precision, Precision]:
        """Other devices than the CPU multiply in TF32 and float16 too."""
        more: Mapping[Precision, Precision] = {TF32: FLOAT32, "fp16": FLOAT32}
        return self.precisions if device == CPU else {**self.precisions, **more}

    def away(self, device: str) -> str:
        """Ask the driver for the device, and this build for CUDA."""
        import torch

        if kind_of(device) != CUDA:
            return ""
        if not (gone := cuda.missing(device)) and not torch.cuda.is_available():
            return f"this build of torch ({torch.__version__}) has no CUDA; install one that has"
        return gone

    def lacks(self) -> Mapping[str, str]:
        """Ask oneDNN for bf16, which takes minutes a chunk where it is emulated, and the path."""
        import torch

        found = {}
        held = cpu.onednn_lacks_bf16()
        if held or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            why = held or cpu.without(cpu.BF16)
            found["bf16"] = f"torch emulates bf16 on this CPU ({why}), which takes minutes a chunk"
        if shutil.which(os.environ.get("CXX", COMPILER)) is None:
            found["mode=compiled"] = (
                f"torch[mode=compiled] needs a C++ compiler; install {COMPILER}, name yours in "
                "CXX, or choose mode=eager"
            )
        return found

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Write the program of a torch module in eval mode, [B, T, feat_dim] -> [B, D]."""
        import torch

        batch = 2 if num_frames is None else 1
        features_BTM = torch.randn(batch, num_frames or EXAMPLE_FRAMES, feat_dim)
        dynamic = {0: torch.export.Dim("B"), 1: torch.export.Dim("T", min=LEAST_FRAMES)}
        shapes = (dynamic,) if num_frames is None else None
        try:
            program = _traced(model, features_BTM, shapes)
            # The exporter leaves stack traces with the paths of this machine.
            for node in program.graph.nodes:
                for note in NOTES:
                    node.meta.pop(note, None)
            torch.export.save(program, path)
        except Exception as error:  # the exporter raises what it likes
            raise ConversionError(f"torch cannot export the model: {_reason(error)}") from error

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "TorchEngineSession":
        """Load the program."""
        if options.device == CPU:
            return TorchEngineSession(artifact, options, settings)
        place = self.places[kind_of(options.device)]
        numbered = f"{place}:{number_of(options.device)}" if place != CPU else place
        return TorchDeviceSession(artifact, options, settings, where=numbered)

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler | None:
        """Interpret the program; a compiled one has no operators of the model any more.

        Of another device than the CPU the times of calls tell nothing: they return before it is
        done.
        """
        settings = chosen(self, options)
        if settings["mode"] == "compiled" or options.device != CPU:
            return None
        return TorchProfiler(TorchEngineSession(artifact, options, settings))


def _traced(model: Any, features_BTM: Any, shapes: Any) -> Any:
    """Return the program of a module for any number of frames, if shapes say so.

    Where torch cannot prove that what it takes of shapes holds for every length, as it cannot of
    SimAM-ResNet, the program checks it when it runs.
    """
    import torch
    from torch._dynamo.exc import UserError

    export = partial(torch.export.export, model, (features_BTM,), dynamic_shapes=shapes)
    with torch.no_grad():
        try:
            return export()
        except UserError:
            return export(prefer_deferred_runtime_asserts_over_guards=True)


#: ResNet-34 takes a minute on a busy core, the largest models of the catalog many.
CONVERTED_S = 1800.0


class ProgramEngine(RuntimeEngine):
    """An engine with XNNPACK in float32 for models of the catalog, whose files are for one length.

    It has no settings. Its converter is needed only where a file has to be made: the engine's own
    module, run as `python -m MODULE PROGRAM.pt2 MADE`.
    """

    build = "XNNPACK"
    from_onnx = False
    default_form: Form = "static"
    #: What the converter imports, and what installs that.
    converter: str
    converter_cure: str

    def export(
        self,
        model: Any,
        path: Path,
        *,
        feat_dim: int,
        num_frames: int | None,
        limit_s: float = CONVERTED_S,
    ) -> None:
        """Export and convert a torch module in eval mode, [1, num_frames, feat_dim] -> [1, D].

        Raises:
            ConversionError: there is no converter, or it does not know an operator.
        """
        if num_frames is None:
            raise ConversionError(f"{self.name} files are for one length; choose --form static")
        if find_spec(self.converter) is None:
            cure = f"install it with: {self.converter_cure}"
            raise ConversionError(f"{self.converter} is not installed; {cure}")
        with TemporaryDirectory(prefix=f"rtfbench-{self.name}-") as name:
            folder = Path(name)
            program, made = folder / "model.pt2", folder / path.name
            TorchEngine().export(model, program, feat_dim=feat_dim, num_frames=num_frames)
            run_tool(
                [sys.executable, "-m", f"rtfbench.engines.{self.name}", str(program), str(made)],
                folder=folder,
                made=[made],
                failed=f"{self.name} cannot convert the model",
                limit_s=limit_s,
            )
            path.write_bytes(made.read_bytes())


#: Precisions that are types of their own; what else there is computes float32.
TYPES: Mapping[Precision, str] = {"bf16": "bfloat16", "fp16": "float16"}


class TorchEngineSession(RuntimeSession):
    """One loaded program. Threads are the process's: one session a process."""

    engine = "torch"
    told = staticmethod(last_line)

    def __init__(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        settings: Mapping[str, str],
        *,
        where: str = CPU,
    ) -> None:
        """Load a program; `where` is the device as torch calls it."""
        import torch

        threads = options.threads
        torch.set_num_threads(threads)
        self._torch = torch
        self._device = torch.device(where)
        self._precision = options.precision
        self._has_run = False
        with self.loading(artifact):
            module: Any = self._placed(torch.export.load(artifact.path)).module()
        self._dtype = getattr(torch, TYPES.get(options.precision, FLOAT32))
        module.to(self._dtype)
        if settings["layout"] == "channels_last":
            for parameter in module.parameters():
                if parameter.dim() == IMAGE_AXES:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        if settings["mode"] == "compiled":
            with _quietly():
                module = torch.compile(module, dynamic=artifact.form == "dynamic")
        effective = {"threads": torch.get_num_threads(), **settings}
        check_taken(self.engine, effective, {"threads": threads})
        super().__init__(artifact, module, effective)

    def operators(self) -> Mapping[str, int]:
        """Count kernels and matrices by type: torch multiplies in that, or refuses to."""
        kinds = {f"torch.{name}": precision for precision, name in TYPES.items()}
        kinds["torch.float32"] = self._float32_is
        weights = (each for each in self._loaded.parameters() if each.dim() > 1)
        return Counter(kinds.get(str(each.dtype), str(each.dtype)) for each in weights)

    @property
    def _float32_is(self) -> Precision:
        """What float32 is multiplied in."""
        return FLOAT32

    def _placed(self, program: Any) -> Any:
        """Return a program where it is to compute."""
        return program

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]; the first run of a compiled program compiles it."""
        if self._has_run:
            return self._compute(features_BTM)
        with _quietly():
            embedding_BD = self._compute(features_BTM)
        self._has_run = True
        return embedding_BD

    def _compute(self, features_BTM: FloatArray) -> FloatArray:
        torch = self._torch
        with torch.inference_mode():
            values_BTM = torch.from_numpy(features_BTM).to(self._dtype)
            embedding_BD: FloatArray = self._loaded(values_BTM).float().numpy()
        return embedding_BD

    def interpret(self, compute_node: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Compute node by node from now on; return what computes a node by itself."""
        interpreter: Any = self._torch.fx.Interpreter(self._loaded)
        itself: Callable[[Any], Any] = interpreter.run_node
        interpreter.run_node, self._loaded = compute_node, interpreter.run
        return itself


class TorchDeviceSession(TorchEngineSession):
    """One loaded program; what copies take is in `copy_ns`, and inside the time of a run."""

    copy_ns: int = 0

    def _placed(self, program: Any) -> Any:
        """Move a program there. TF32 is off unless it is asked for: convolutions would take it."""
        from torch.export.passes import move_to_device_pass

        backends = self._torch.backends
        asked = self._precision == TF32
        backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = asked
        return move_to_device_pass(program, str(self._device))

    @property
    def _float32_is(self) -> Precision:
        """TF32 where matrices and convolutions may take it, as torch says."""
        backends = self._torch.backends
        allowed = backends.cuda.matmul.allow_tf32 and backends.cudnn.allow_tf32
        return TF32 if allowed else FLOAT32

    def _compute(self, features_BTM: FloatArray) -> FloatArray:
        """Copy in, compute, copy out; each is waited for."""
        torch, wait = self._torch, getattr(self._torch, self._device.type).synchronize
        before = time.perf_counter_ns()
        with torch.inference_mode():
            values_BTM = torch.from_numpy(features_BTM).to(self._device, self._dtype, copy=True)
            wait()
            fed = time.perf_counter_ns()
            found_BD = self._loaded(values_BTM)
            wait()
            computed = time.perf_counter_ns()
            embedding_BD: FloatArray = found_BD.float().cpu().numpy()
        self.copy_ns += time.perf_counter_ns() - computed + fed - before
        return embedding_BD


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide that torch uses parts of itself that it calls deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def _reason(error: Exception) -> str:
    """Return what the exporter says is wrong, of a message that begins and ends with advice."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    of_lengths = [line for line in lines if line.startswith("Not all values")]
    return next(iter([*of_lengths, *lines]), type(error).__name__)
