"""onnxruntime on the CPU."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from engines import cpu, onnx_layers, ort_quantize
from engines.base import EngineBase, SessionBase
from engines.ort_profile import OnnxRuntimeProfiler
from engines.profiling import Profiler
from engines.protocol import (
    FLOAT32,
    Availability,
    EngineError,
    FloatArray,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    SettingMismatchError,
    check_features,
    chosen,
)

PROVIDER = "CPUExecutionProvider"
SPINNING_KEY = "session.intra_op.allow_spinning"
#: Where a CPU has no VNNI, unsigned weights in place of signed ones, whose products saturate.
EXACT_KEY = "session.x64quantprecision"
PRODUCTS = "int8_products"
GRAPH_OPTIMIZATION = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "off": "ORT_DISABLE_ALL",
}


class OnnxRuntimeEngine(EngineBase):
    """onnxruntime with its CPU provider, sequential execution, an explicit thread count.

    Settings: `graph_optimization` (the WeSpeaker runtime sets `extended`, the runtime's own
    default is `all`), `spinning` of the intra-op threads, `arena` for the CPU memory arena, and
    `int8_products`: `exact` where the runtime's own default is `fast`. On a CPU with VNNI they are
    the same; without it fast ones saturate in 16 bits, unless weights have 7 bits.
    """

    name = "onnxruntime"
    distribution = "onnxruntime"
    run_in_python = "found = session.run(None, inputs)[0]\n"
    choices: Mapping[str, tuple[str, ...]] = {
        "graph_optimization": tuple(GRAPH_OPTIMIZATION),
        "spinning": ("on", "off"),
        "arena": ("on", "off"),
        PRODUCTS: ("exact", "fast"),
    }

    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32, "int8": "int8"}
    recipes: Mapping[str, tuple[str, ...]] = {
        onnx_layers.FLOAT_LAYERS: onnx_layers.CHOICES,
        ort_quantize.RANGES: ("calibrated", "dynamic"),
        ort_quantize.WEIGHT_BITS: ("8", "7"),
    }

    def probe(self) -> Availability:
        """Import onnxruntime and look for its CPU provider."""
        try:
            import onnxruntime
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[onnxruntime]'"
            )
        if PROVIDER not in onnxruntime.get_available_providers():
            return Availability(False, reason=f"this build of onnxruntime has no {PROVIDER}")
        return Availability(True, version=onnxruntime.__version__, build=PROVIDER)

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return the options that a session is opened with."""
        settings = _chosen(self, options)
        level = GRAPH_OPTIMIZATION[settings["graph_optimization"]]
        spinning = "1" if settings["spinning"] == "on" else "0"
        exact = "1" if settings[PRODUCTS] == "exact" else "0"
        return f"""import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {options.threads}
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}
options.enable_cpu_mem_arena = {settings["arena"] == "on"}
options.add_session_config_entry({SPINNING_KEY!r}, {spinning!r})
options.add_session_config_entry({EXACT_KEY!r}, {exact!r})
session = onnxruntime.InferenceSession(
    {str(artifact.path)!r}, sess_options=options, providers=[{PROVIDER!r}]
)
"""

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Use the package's own quantiser."""
        return ort_quantize.to_int8(onnx_path, path, wanted)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "OnnxRuntimeSession":
        """Create an InferenceSession."""
        return OnnxRuntimeSession(artifact, options.threads, _chosen(self, options))

    def caveat(self, options: SessionOptions) -> str:
        """Tell what int8 is without VNNI."""
        if options.precision != "int8" or cpu.has(cpu.INT8):
            return ""
        products = _chosen(self, options)[PRODUCTS]
        does = "are widened to stay exact, which costs the speed of int8"
        if products == "fast":
            does = "are added up in 16 bits, which saturate unless weight_bits=7"
        return (
            f"this CPU has no VNNI ({cpu.without(cpu.INT8)}): products of 8 bits {does} "
            f"({PRODUCTS}={products})"
        )

    def inner_tensors(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        features_BTM: FloatArray,
        names: Collection[str],
    ) -> Mapping[str, FloatArray]:
        """Run a copy of the model that has them as outputs, which nothing is fused across."""
        import onnx

        model = onnx.load(str(artifact.path))
        known = {name for node in model.graph.node for name in node.output}
        shown = [name for name in names if name in known]
        for name in set(shown) - {value.name for value in model.graph.output}:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        with TemporaryDirectory(prefix="rtfbench-") as folder:
            path = Path(folder) / "shown.onnx"
            onnx.save(model, str(path), save_as_external_data=True, location="shown.data")
            session = self.open(replace(artifact, path=path), options)
            return dict(zip(shown, session.run_for(shown, features_BTM), strict=True))

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler:
        """Create an InferenceSession that writes a profile."""
        return OnnxRuntimeProfiler(
            lambda also: OnnxRuntimeSession(
                artifact, options.threads, _chosen(self, options), also
            ),
        )


def _chosen(engine: OnnxRuntimeEngine, options: SessionOptions) -> dict[str, str]:
    """Return every setting; products with weights of 7 bits cannot saturate, so fast ones do."""
    settings = chosen(engine, options)
    if PRODUCTS not in options.settings and options.settings.get(ort_quantize.WEIGHT_BITS) == "7":
        settings[PRODUCTS] = "fast"
    return settings


class OnnxRuntimeSession(SessionBase):
    """One InferenceSession."""

    def __init__(
        self,
        artifact: ModelArtifact,
        threads: int,
        settings: Mapping[str, str],
        also: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Load a model; `also` changes more of the runtime's options before."""
        import onnxruntime

        wanted = onnxruntime.SessionOptions()
        wanted.intra_op_num_threads = threads
        wanted.inter_op_num_threads = 1
        wanted.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        wanted.graph_optimization_level = getattr(
            onnxruntime.GraphOptimizationLevel, GRAPH_OPTIMIZATION[settings["graph_optimization"]]
        )
        wanted.enable_cpu_mem_arena = settings["arena"] == "on"
        wanted.add_session_config_entry(SPINNING_KEY, "1" if settings["spinning"] == "on" else "0")
        wanted.add_session_config_entry(EXACT_KEY, "1" if settings[PRODUCTS] == "exact" else "0")
        also(wanted)
        try:
            session = onnxruntime.InferenceSession(
                str(artifact.path), sess_options=wanted, providers=[PROVIDER]
            )
        except Exception as error:  # the binding's exceptions share no public base class
            raise EngineError(
                f"{artifact.path}: onnxruntime cannot load this model: {_first_line(error)}"
            ) from error
        self._artifact = artifact
        self._options = wanted
        self._session: Any = session
        self._input = artifact.input_name or session.get_inputs()[0].name
        self._outputs = [artifact.output_name or session.get_outputs()[0].name]
        self._effective = _read_back(session)
        _compare(self._effective, {"threads": threads, "provider": PROVIDER, **settings})

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Settings as the session reports them."""
        return self._effective

    def operators(self) -> Mapping[str, int]:
        """Count what multiplies in the optimised graph."""
        return ort_quantize.computed_in(self._artifact.path, self._options, PROVIDER)

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        if self._session is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        (embedding_BD,) = self.run_for(self._outputs, features_BTM)
        return embedding_BD

    def run_for(self, outputs: Sequence[str], features_BTM: FloatArray) -> list[FloatArray]:
        """Compute outputs of any names."""
        check_features(self._artifact, features_BTM)
        try:
            found = self._session.run(outputs, {self._input: features_BTM})
        except Exception as error:  # as above
            raise EngineError(f"onnxruntime failed: {_first_line(error)}") from error
        return [np.asarray(each, np.float32) for each in found]

    def end_profiling(self) -> Path:
        """Return the file of the profile, which ends here; only where the options ask for one."""
        return Path(self._session.end_profiling())

    def close(self) -> None:
        """Drop the session; its threads end with it."""
        self._session = None


def _read_back(session: Any) -> dict[str, str | int | float]:
    """Return the settings that a session says it has."""
    got = session.get_session_options()
    level = next(
        (
            name
            for name, attribute in GRAPH_OPTIMIZATION.items()
            if attribute == got.graph_optimization_level.name
        ),
        got.graph_optimization_level.name,
    )
    return {
        "threads": int(got.intra_op_num_threads),
        "provider": ",".join(session.get_providers()),
        "graph_optimization": level,
        "spinning": "on" if got.get_session_config_entry(SPINNING_KEY) == "1" else "off",
        "arena": "on" if got.enable_cpu_mem_arena else "off",
        PRODUCTS: "exact" if got.get_session_config_entry(EXACT_KEY) == "1" else "fast",
    }


def _compare(got: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for name, value in wanted.items():
        if got[name] != value:
            raise SettingMismatchError(f"onnxruntime: asked for {name}={value}, got {got[name]}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
