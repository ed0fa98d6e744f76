"""onnxruntime on the CPU, and on a device with memory of its own: input and output are bound there.

Without a binding, `run` copies in and out inside of the runtime, and nobody can tell the copies
from the computing.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from rtfbench.engines import cpu, cuda, onnx_files
from rtfbench.engines.base import RuntimeEngine, RuntimeSession, check_taken, chosen, first_line
from rtfbench.engines.ort_profile import OnnxRuntimeProfiler
from rtfbench.engines.profiling import Profiler
from rtfbench.engines.protocol import (
    CPU,
    CUDA,
    FLOAT32,
    TF32,
    Availability,
    EngineError,
    FloatArray,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    SettingMismatchError,
    Support,
    check_features,
    kind_of,
    number_of,
)


class Place(NamedTuple):
    """Where sessions compute: a provider, what the runtime calls its memory, and its options.

    `tf32` is the option that lets it multiply in TF32, `threads` the one that says how many it
    takes, both empty where it has none; `fixed` are others. `cure` says how a build has it.
    """

    provider: str
    memory: str
    tf32: str = ""
    threads: str = ""
    fixed: tuple[tuple[str, str], ...] = ()
    cure: str = "install onnxruntime-gpu in its place"

    def options(self, asked: SessionOptions) -> dict[str, str]:
        """Return the provider's options: the device's number, and TF32 only where it is asked."""
        if self.threads:
            return {self.threads: str(asked.threads), **dict(self.fixed)}
        if not self.tf32:
            return {}
        tf32 = "1" if asked.precision == TF32 else "0"
        return {"device_id": str(number_of(asked.device)), self.tf32: tf32}


PROVIDER = "CPUExecutionProvider"
HERE = Place(PROVIDER, "cpu")
#: What computes on the CPU: the setting, and its values.
PROVIDES = "provider"
PROVIDERS: Mapping[str, Place] = {
    CPU: HERE,
    "openvino": Place(
        "OpenVINOExecutionProvider",
        "cpu",
        threads="num_of_threads",
        # By itself it would compute in bf16 on cores that have it.
        fixed=(("device_type", "CPU"), ("precision", "FP32")),
        cure="install onnxruntime-openvino in its place",
    ),
    "xnnpack": Place(
        "XnnpackExecutionProvider",
        "cpu",
        threads="intra_op_num_threads",
        cure="build onnxruntime with --use_xnnpack, which no wheel for Linux was",
    ),
}
NAMED = {place.provider: name for name, place in PROVIDERS.items()}
SPINNING_KEY = "session.intra_op.allow_spinning"
#: Unsigned weights in place of signed ones, whose products saturate in 16 bits without VNNI. With
#: VNNI nothing saturates, and this would cost a factor of two all the same.
EXACT = "x64quantprecision"
EXACT_KEY = f"session.{EXACT}"
PRODUCTS = "int8_products"
SEVEN_BITS = f"{onnx_files.WEIGHT_BITS}=7"
GRAPH_OPTIMIZATION = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "off": "ORT_DISABLE_ALL",
}


class OnnxRuntimeEngine(RuntimeEngine):
    """onnxruntime with one provider, sequential execution, an explicit thread count.

    Settings: `graph_optimization` (the WeSpeaker runtime sets `extended`, the runtime's own
    default is `all`), `spinning` of the intra-op threads, `arena` for the CPU memory arena, and
    `int8_products`: on a CPU without VNNI `fast` ones, the runtime's own default, saturate in 16
    bits unless weights have 7 bits, so they are `exact` there unless something else is asked for;
    `provider`, another of the runtime's on the CPU, in float32, where the build has it. What that
    does not take, the runtime's own computes.
    """

    name = "onnxruntime"
    distribution = "onnxruntime"
    run_in_python = "found = session.run(None, inputs)[0]\n"
    choices: Mapping[str, tuple[str, ...]] = {
        "graph_optimization": tuple(GRAPH_OPTIMIZATION),
        "spinning": ("on", "off"),
        "arena": ("on", "off"),
        PRODUCTS: ("auto", "exact", "fast"),
        PROVIDES: tuple(PROVIDERS),
    }
    may_lack = tuple(f"{PROVIDES}={name}" for name in PROVIDERS if name != CPU)

    devices = (CPU, CUDA)
    places: Mapping[str, Place] = {
        CPU: HERE,
        CUDA: Place("CUDAExecutionProvider", "cuda", "use_tf32"),
    }
    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32, "int8": "int8"}
    recipes: Mapping[str, tuple[str, ...]] = {
        onnx_files.FLOAT_LAYERS: onnx_files.CHOICES,
        onnx_files.RANGES: ("calibrated", "dynamic"),
        onnx_files.WEIGHT_BITS: ("8", "7"),
    }

    def probe(self) -> Availability:
        """Import onnxruntime and look for its CPU provider."""
        try:
            import onnxruntime
        except ImportError as error:
            return self.missing(error)
        if PROVIDER not in onnxruntime.get_available_providers():
            return Availability(False, reason=f"this build of onnxruntime has no {PROVIDER}")
        return Availability(True, version=onnxruntime.__version__, build=PROVIDER)

    def precisions_on(self, device: str) -> Mapping[Precision, Precision]:
        """On CUDA, float32 without TF32 and with it."""
        return {FLOAT32: FLOAT32, TF32: FLOAT32} if kind_of(device) == CUDA else self.precisions

    def away(self, device: str) -> str:
        """Ask the driver for the device, and this build for its provider."""
        import onnxruntime

        place = self.places[kind_of(device)]
        if kind_of(device) == CUDA and (gone := cuda.missing(device)):
            return gone
        built = onnxruntime.get_available_providers()
        return "" if place.provider in built else _without(place)

    def lacks(self) -> Mapping[str, str]:
        """Ask this build for its providers."""
        import onnxruntime

        built = onnxruntime.get_available_providers()
        return {
            f"{PROVIDES}={name}": f"{_without(place)}, or choose {PROVIDES}={CPU}"
            for name, place in PROVIDERS.items()
            if place.provider not in built
        }

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take float32 on the CPU alone where another provider is asked for."""
        provides = options.settings.get(PROVIDES, CPU)
        if provides != CPU and (options.device, options.precision) != (CPU, FLOAT32):
            return Support(
                False,
                f"onnxruntime[{PROVIDES}={provides}] computes float32 on the CPU; choose "
                f"{PROVIDES}={CPU}",
            )
        return super().supports(artifact, options)

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return the options that a session is opened with; nothing of one on another device."""
        if options.device != CPU:
            return ""
        settings = chosen(self, options)
        level = GRAPH_OPTIMIZATION[settings["graph_optimization"]]
        spinning = "1" if settings["spinning"] == "on" else "0"
        exact = "1" if _exact(settings, options) else "0"
        place = PROVIDERS[settings[PROVIDES]]
        return f"""import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {options.threads}
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}
options.enable_cpu_mem_arena = {settings["arena"] == "on"}
options.add_session_config_entry({SPINNING_KEY!r}, {spinning!r})
options.add_session_config_entry({EXACT_KEY!r}, {exact!r})
session = onnxruntime.InferenceSession(
    {str(artifact.path)!r},
    sess_options=options,
    providers=[{(place.provider, place.options(options))!r}],
)
"""

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Use the package's own quantiser."""
        return onnx_files.to_int8(onnx_path, path, wanted)

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "OnnxRuntimeSession":
        """Create an InferenceSession."""
        if options.device == CPU:
            place, kind = PROVIDERS[settings[PROVIDES]], OnnxRuntimeSession
        else:
            place, kind = self.places[kind_of(options.device)], OnnxRuntimeDeviceSession
        return kind(artifact, options, settings, place=place)

    def caveat(self, options: SessionOptions) -> str:
        """Tell what int8 is without VNNI."""
        if options.precision != "int8" or cpu.has(cpu.INT8):
            return ""
        exact = _exact(chosen(self, options), options)
        if _fits(options) and not exact:
            return ""
        does = (
            f"are widened to stay exact ({PRODUCTS}=exact), which costs speed; with {SEVEN_BITS} "
            "they need not be"
            if exact
            else f"are added up in 16 bits, which saturate ({PRODUCTS}=fast); {PRODUCTS}=exact or "
            f"{SEVEN_BITS} keeps them right"
        )
        return f"this CPU has no VNNI ({cpu.without(cpu.INT8)}): products of 8 bits {does}"

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
            assert isinstance(session, OnnxRuntimeSession)
            return dict(zip(shown, session.run_for(shown, features_BTM), strict=True))

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler | None:
        """Create an InferenceSession that writes a profile; on the CPU, where a call is done."""
        if options.device != CPU:
            return None
        settings = chosen(self, options)
        place = PROVIDERS[settings[PROVIDES]]
        return OnnxRuntimeProfiler(
            lambda also: OnnxRuntimeSession(artifact, options, settings, also, place)
        )


def _without(place: Place) -> str:
    """Say that this build has no such provider, and what has."""
    return f"this build of onnxruntime has no {place.provider}; {place.cure}"


def _exact(settings: Mapping[str, str], options: SessionOptions) -> bool:
    """Say whether products in int8 are kept from saturating; by itself, where they could."""
    if settings[PRODUCTS] != "auto":
        return settings[PRODUCTS] == "exact"
    return options.precision == "int8" and not (cpu.has(cpu.INT8) or _fits(options))


def _fits(options: SessionOptions) -> bool:
    """Say whether weights are small enough for sums of products in 16 bits."""
    return options.settings.get(onnx_files.WEIGHT_BITS) == "7"


class OnnxRuntimeSession(RuntimeSession):
    """One InferenceSession; what is effective is what it reports."""

    engine = "onnxruntime"

    @staticmethod
    def told(error: Exception) -> str:
        """Say which release takes a model that is too new, else what the runtime says first."""
        import onnxruntime

        new = onnx_files.too_new(str(error))
        return f"{new}; this is {onnxruntime.__version__}" if new else first_line(error)

    def __init__(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        settings: Mapping[str, str],
        also: Callable[[Any], None] = lambda _: None,
        place: Place = HERE,
    ) -> None:
        """Load a model; `also` changes more of the runtime's options before."""
        import onnxruntime

        exact = _exact(settings, options)
        wanted = onnxruntime.SessionOptions()
        wanted.intra_op_num_threads = options.threads
        wanted.inter_op_num_threads = 1
        wanted.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        wanted.graph_optimization_level = getattr(
            onnxruntime.GraphOptimizationLevel, GRAPH_OPTIMIZATION[settings["graph_optimization"]]
        )
        wanted.enable_cpu_mem_arena = settings["arena"] == "on"
        wanted.add_session_config_entry(SPINNING_KEY, "1" if settings["spinning"] == "on" else "0")
        wanted.add_session_config_entry(EXACT_KEY, "1" if exact else "0")
        also(wanted)
        with self.loading(artifact):
            session: Any = onnxruntime.InferenceSession(
                str(artifact.path),
                sess_options=wanted,
                providers=[(place.provider, place.options(options))],
            )
        self._options = wanted
        self._memory = (place.memory, number_of(options.device))
        self._input = artifact.input_name or session.get_inputs()[0].name
        self._outputs = [artifact.output_name or session.get_outputs()[0].name]
        effective = {**_read_back(session), PRODUCTS: settings[PRODUCTS]}
        asked = {"threads": options.threads, EXACT: "on" if exact else "off"}
        got = str(effective[PROVIDES])
        told = session.get_provider_options()[got]
        if got != place.provider:
            raise SettingMismatchError(f"onnxruntime: asked for {place.provider}, got {got}")
        # OpenVINO's tells none of its options: its threads are counted at work.
        asked |= place.options(options) if told else {}
        effective |= {**told, PROVIDES: NAMED.get(got, got)}
        # On another device the setting says nothing.
        wanted_of_it = {**settings, **asked, PROVIDES: NAMED.get(got, got)}
        check_taken(self.engine, effective, wanted_of_it)
        super().__init__(artifact, session, effective)

    def operators(self) -> Mapping[str, int]:
        """Count what multiplies in the optimised graph."""
        return onnx_files.computed_in(self._artifact.path, self._options, PROVIDER)

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        (embedding_BD,) = self._outputs_of(self._outputs, features_BTM)
        return embedding_BD

    def run_for(self, outputs: Sequence[str], features_BTM: FloatArray) -> list[FloatArray]:
        """Compute outputs of any names."""
        check_features(self._artifact, features_BTM)
        try:
            return self._outputs_of(outputs, features_BTM)
        except Exception as error:  # the binding's exceptions share no public base class
            raise EngineError(f"onnxruntime failed: {first_line(error)}") from error

    def _outputs_of(self, outputs: Sequence[str], features_BTM: FloatArray) -> list[FloatArray]:
        found = self._loaded.run(outputs, {self._input: features_BTM})
        return [np.asarray(each, np.float32) for each in found]

    def end_profiling(self) -> Path:
        """Return the file of the profile, which ends here; only where the options ask for one."""
        return Path(self._loaded.end_profiling())


class OnnxRuntimeDeviceSession(OnnxRuntimeSession):
    """One InferenceSession; what copies take is in `copy_ns`, and inside the time of a run."""

    copy_ns: int = 0

    def _outputs_of(self, outputs: Sequence[str], features_BTM: FloatArray) -> list[FloatArray]:
        """Copy in, compute, copy out; each is waited for."""
        from onnxruntime import OrtValue

        before = time.perf_counter_ns()
        binding = self._loaded.io_binding()
        given = OrtValue.ortvalue_from_numpy(features_BTM, *self._memory)
        binding.bind_ortvalue_input(self._input, given)
        for name in outputs:
            binding.bind_output(name, *self._memory)
        binding.synchronize_inputs()
        fed = time.perf_counter_ns()
        self._loaded.run_with_iobinding(binding)
        binding.synchronize_outputs()
        computed = time.perf_counter_ns()
        found = [np.array(each, np.float32) for each in binding.copy_outputs_to_cpu()]
        self.copy_ns += time.perf_counter_ns() - computed + fed - before
        return found


def _read_back(session: Any) -> dict[str, str | int | float]:
    """Return the settings that a session says it has."""
    got = session.get_session_options()
    level = got.graph_optimization_level.name
    named = {attribute: name for name, attribute in GRAPH_OPTIMIZATION.items()}
    return {
        "threads": int(got.intra_op_num_threads),
        # What it lacks, the CPU's computes, which always stands behind it.
        "provider": session.get_providers()[0],
        "graph_optimization": named.get(level, level),
        "spinning": "on" if got.get_session_config_entry(SPINNING_KEY) == "1" else "off",
        "arena": "on" if got.enable_cpu_mem_arena else "off",
        EXACT: "on" if got.get_session_config_entry(EXACT_KEY) == "1" else "off",
    }
