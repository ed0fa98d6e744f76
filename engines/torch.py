"""torch on the CPU: the exported program of a model, run eagerly or compiled."""

import os
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines import cpu
from engines.base import EngineBase, SessionBase
from engines.profiling import Profiler
from engines.protocol import (
    FLOAT32,
    Availability,
    ConversionError,
    EngineError,
    FloatArray,
    Format,
    ModelArtifact,
    Precision,
    SessionOptions,
    SettingMismatchError,
    check_features,
    chosen,
)
from engines.torch_profile import Interpreted, TorchProfiler

#: A length to trace with; the exported program must not depend on it.
EXAMPLE_FRAMES = 200
#: XVEC takes no fewer.
LEAST_FRAMES = 16
IMAGE_AXES = 4
#: What Inductor compiles with where CXX names nothing else.
COMPILER = "g++"
NOTES = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")


class TorchEngine(EngineBase):
    """torch in inference mode, on a program that `torch.export` wrote.

    Settings: `mode`, eager or compiled by Inductor, which needs a C++ compiler and half a minute at
    the first run; `layout` of the kernels of images, `channels_last` being what its convolutions
    prefer on some CPUs.
    """

    name = "torch"
    format: Format = "pt2"
    from_onnx = False
    distribution = "torch"
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
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[zoo]'"
            )
        return Availability(True, version=torch.__version__, build="oneDNN")

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
            with torch.no_grad():
                program = _traced(model, features_BTM, shapes)
            _forget_the_source(program)
            torch.export.save(program, path)
        except Exception as error:  # the exporter raises what it likes
            raise ConversionError(f"torch cannot export the model: {_reason(error)}") from error

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "TorchEngineSession":
        """Load the program."""
        return TorchEngineSession(artifact, options, chosen(self, options))

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler | None:
        """Interpret the program; a compiled one has no operators of the model any more."""
        settings = chosen(self, options)
        if settings["mode"] == "compiled":
            return None
        return TorchProfiler(TorchEngineSession(artifact, options, settings))


def _traced(model: Any, features_BTM: Any, shapes: Any) -> Any:
    """Return the program of a module for any number of frames, if shapes say so.

    Where torch cannot prove that what it takes of shapes holds for every length, as it cannot of
    SimAM-ResNet, the program checks it when it runs.
    """
    import torch
    from torch._dynamo.exc import UserError

    try:
        return torch.export.export(model, (features_BTM,), dynamic_shapes=shapes)
    except UserError:
        return torch.export.export(
            model,
            (features_BTM,),
            dynamic_shapes=shapes,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


class TorchEngineSession(SessionBase):
    """One loaded program. Threads are the process's: one session a process."""

    def __init__(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> None:
        import torch

        threads = options.threads
        torch.set_num_threads(threads)
        self._torch = torch
        self._artifact = artifact
        self._has_run = False
        try:
            module: Any = torch.export.load(artifact.path).module()
        except Exception as error:  # damaged archives end in errors of many kinds
            raise EngineError(
                f"{artifact.path}: torch cannot load this model: {_last_line(error)}"
            ) from error
        self._dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
        module.to(self._dtype)
        if settings["layout"] == "channels_last":
            for parameter in module.parameters():
                if parameter.dim() == IMAGE_AXES:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._module: Any = module
        if settings["mode"] == "compiled":
            with _quietly():
                self._module = torch.compile(module, dynamic=artifact.form == "dynamic")
        self._effective: dict[str, str | int | float] = {
            "threads": torch.get_num_threads(),
            **settings,
        }
        if self._effective["threads"] != threads:
            raise SettingMismatchError(
                f"torch: asked for threads={threads}, got {self._effective['threads']}"
            )

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Settings, the threads as torch tells them."""
        return self._effective

    def operators(self) -> Mapping[str, int]:
        """Count kernels and matrices by type: torch multiplies in that, or refuses to."""
        kinds = {"torch.float32": "float32", "torch.bfloat16": "bf16"}
        weights = (each for each in self._module.parameters() if each.dim() > 1)
        return Counter(kinds.get(str(each.dtype), str(each.dtype)) for each in weights)

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]; the first run of a compiled program compiles it."""
        if self._module is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        try:
            if self._has_run:
                return self._compute(features_BTM)
            with _quietly():
                embedding_BD = self._compute(features_BTM)
        except Exception as error:  # operators and the compiler raise what they like
            raise EngineError(f"torch failed: {_last_line(error)}") from error
        self._has_run = True
        return embedding_BD

    def _compute(self, features_BTM: FloatArray) -> FloatArray:
        torch = self._torch
        with torch.inference_mode():
            values_BTM = torch.from_numpy(features_BTM).to(self._dtype)
            embedding_BD: FloatArray = self._module(values_BTM).float().numpy()
        return embedding_BD

    def interpret(self) -> Interpreted:
        """Compute node by node from now on."""
        program = Interpreted(self._torch.fx.Interpreter(self._module))
        self._module = program
        return program

    def close(self) -> None:
        """Drop the program."""
        self._module = None


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide that torch uses parts of itself that it calls deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


def _forget_the_source(program: Any) -> None:
    """Drop the notes that the exporter leaves: stack traces with the paths of this machine."""
    for node in program.graph.nodes:
        for note in NOTES:
            node.meta.pop(note, None)


def _reason(error: Exception) -> str:
    """Return what the exporter says is wrong, of a message that begins and ends with advice."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    of_lengths = [line for line in lines if line.startswith("Not all values")]
    return next(iter([*of_lengths, *lines]), type(error).__name__)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
