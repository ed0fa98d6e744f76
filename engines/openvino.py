"""OpenVINO on the CPU.

Importing the package reports to a server through `openvino_telemetry` wherever that is installed,
and it is installed with it. It is kept from being imported here.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import cpu
from rtfbench.engines.base import RuntimeEngine, RuntimeSession, check_taken, chosen, last_line
from rtfbench.engines.onnx_files import CHOICES, FLOAT_LAYERS, layers_in_float, told
from rtfbench.engines.profiling import OperatorTime, Profiler
from rtfbench.engines.protocol import (
    FLOAT32,
    Availability,
    ConversionError,
    FloatArray,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
)

#: Of a layer whose bias was made one of its own.
SPLIT = "/WithoutBiases"
#: Between the names of the layers that a change of layout is from and for.
LAYOUTS = re.compile(r"_[a-eA-E\d]+_[a-eA-E\d]+_")


class OpenVinoProfiler(Profiler):
    """A session with counters; it has one mean for all runs, untimed ones among them."""

    def took_ns(self) -> Sequence[int]:
        """Return the mean of all runs, as the counters are."""
        mean = sum(self._wall_ns) / max(len(self._wall_ns), 1)
        return [round(mean)] * len(self._wall_ns)

    def operators(self) -> Sequence[tuple[OperatorTime, ...]]:
        """Read the counters."""
        counters, fused = self._session.counters()
        mean = tuple(
            OperatorTime(
                name=each.node_name,
                kind=each.node_type,
                ns=round(each.real_time.total_seconds() * 1e9),
                sources=_sources(each.node_name, fused.get(each.node_name, "")),
                implementation=each.exec_type,
            )
            for each in counters
            if each.status.name == "EXECUTED"
        )
        return [mean] * len(self._wall_ns)


def _sources(name: str, fused: str) -> tuple[str, ...]:
    """Return the names of what a layer was made from; a change of layout is its taker's."""
    taker = LAYOUTS.split(name)[-1]
    names = (each.removesuffix(SPLIT) for each in (taker, *filter(None, fused.split(","))))
    return tuple(dict.fromkeys(names))


#: What may be quantised: what multiplies, and what stands between. The statistics of the pooling
#: are a thousandth of the operations, and in int8 they cost more accuracy than all the rest.
MULTIPLIES = ("Conv", "MatMul", "Gemm")
OPERATORS = frozenset({*MULTIPLIES, "Add", "Relu"})


TELEMETRY = "openvino_telemetry"


def keep_telemetry_out() -> None:
    """Make the package one that cannot be imported; its users then take a stand-in of their own."""
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]


DEVICE = "CPU"
#: By name: on processors that have bfloat16, the runtime would take that by itself. What a file in
#: int8 leaves in float is float32. Asked for half precision, the runtime takes bf16 in its place.
HINTS: Mapping[Precision, str] = {FLOAT32: "f32", "bf16": "bf16", "int8": "f32"}
#: What it calls a layer's type -> what that is here.
TYPES = {"f32": "float32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "i8": "int8"}
MULTIPLYING = ("Convolution", "FullyConnected", "MatMul", "GroupConvolution")
HINT = "LATENCY"


def load() -> Any:
    """Import openvino without its telemetry.

    Raises:
        ImportError: it is not installed.
    """
    keep_telemetry_out()
    import openvino

    return openvino


@cache
def core() -> Any:
    """Return the only core of this process, which stays.

    A core gives the thread that compiles a stack for its signals, and takes the memory away at its
    end. Of two cores the second can leave the thread with the memory of the first: the next signal
    then ends the process without a word, whatever its handler would do.

    Raises:
        ImportError: openvino is not installed.
    """
    return load().Core()


class OpenVinoEngine(RuntimeEngine):
    """OpenVINO's CPU plug-in in float32: one stream, the latency hint, an explicit thread count.

    Settings: `pinning` of the threads to cores.
    """

    name = "openvino"
    distribution = "openvino"
    run_in_python = "found = model(inputs)[0]\n"
    choices: Mapping[str, tuple[str, ...]] = {"pinning": ("off", "on")}
    precisions: Mapping[Precision, Precision] = {FLOAT32: FLOAT32, "bf16": FLOAT32, "int8": "int8"}
    recipes: Mapping[str, tuple[str, ...]] = {FLOAT_LAYERS: CHOICES}
    quantizers = ("nncf",)
    may_lack = ("bf16",)

    def probe(self) -> Availability:
        """Import openvino and look for its CPU plug-in."""
        try:
            openvino = load()
        except ImportError as error:
            return self.missing(error)
        if DEVICE not in core().available_devices:
            return Availability(False, reason=f"this build of openvino has no {DEVICE} plug-in")
        version, _, build = openvino.get_version().partition("-")
        return Availability(True, version=version, build=build)

    def lacks(self) -> Mapping[str, str]:
        """Ask the runtime, which silently falls back to float32."""
        held = cpu.onednn_lacks_bf16()
        if "BF16" in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES") and not held:
            return {}
        why = held or cpu.without(cpu.BF16)
        return {"bf16": f"openvino computes bf16 in float32 on this CPU ({why})"}

    def quantize(self, onnx_path: Path, path: Path, wanted: Quantization) -> str:
        """Write quantise and dequantise nodes where nncf puts them."""
        keep_telemetry_out()
        try:
            import nncf
        except ImportError as error:
            raise ConversionError(
                f"{error}; install it with: pip install 'rtfbench[nncf]'"
            ) from error
        import onnx

        model = onnx.load(str(onnx_path))
        name = model.graph.input[0].name
        chunks = nncf.Dataset([{name: features_TM[None]} for features_TM in wanted.calibration_NTM])
        kept = layers_in_float(model, MULTIPLIES, wanted.settings[FLOAT_LAYERS])
        others = sorted({node.op_type for node in model.graph.node} - OPERATORS)
        quantised = nncf.quantize(
            model,
            chunks,
            subset_size=len(wanted.calibration_NTM),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=kept, types=others, validate=False),
        )
        onnx.save(quantised, str(path))
        return (
            "nncf: post-training, mixed preset, weights per channel, fast bias correction, "
            f"{', '.join(sorted(OPERATORS))}{told(kept)}; {wanted.calibrated}"
        )

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return the properties that a model is compiled with; nothing is reported to a server."""
        return f"""import sys

sys.modules[{TELEMETRY!r}] = None  # importing openvino would report to a server
import openvino

model = openvino.Core().compile_model(
    {str(artifact.path)!r}, {DEVICE!r}, {properties(options, chosen(self, options))!r}
)
"""

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "OpenVinoSession":
        """Compile the model."""
        return OpenVinoSession(artifact, options, settings)

    def profiler(self, artifact: ModelArtifact, options: SessionOptions) -> Profiler:
        """Compile the model with counters."""
        session = OpenVinoSession(artifact, options, chosen(self, options), {"PERF_COUNT": True})
        return OpenVinoProfiler(session)


def properties(options: SessionOptions, settings: Mapping[str, str]) -> dict[str, str | int | bool]:
    """Return what a model is compiled with."""
    return {
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": HINT,
        "INFERENCE_PRECISION_HINT": HINTS[options.precision],
        "ENABLE_CPU_PINNING": settings["pinning"] == "on",
    }


class OpenVinoSession(RuntimeSession):
    """A model, its input and output, and one request; what is effective, the model reports."""

    engine = "openvino"
    told = staticmethod(last_line)

    def __init__(
        self,
        artifact: ModelArtifact,
        options: SessionOptions,
        settings: Mapping[str, str],
        also: Mapping[str, object] | None = None,
    ) -> None:
        """Compile a model; `also` are further properties of the runtime."""
        wanted = {**properties(options, settings), **(also or {})}
        with self.loading(artifact):
            compiled = core().compile_model(str(artifact.path), DEVICE, wanted)
            taken = _port(compiled.inputs, artifact.input_name)
            given = _port(compiled.outputs, artifact.output_name)
        effective = _read_back(compiled)
        precision = HINTS[options.precision]
        asked = {"threads": options.threads, "streams": 1, "precision": precision}
        check_taken(self.engine, effective, asked)
        loaded = (compiled, taken, given, compiled.create_infer_request())
        super().__init__(artifact, loaded, effective)

    def operators(self) -> Mapping[str, int]:
        """Count what multiplies in the compiled graph."""
        counts: Counter[str] = Counter()
        for _, notes in self._layers():
            if _text(notes["layerType"]) in MULTIPLYING:
                found = _text(notes["runtimePrecision"])
                counts[TYPES.get(found, found)] += 1
        return counts

    def counters(self) -> tuple[Sequence[Any], Mapping[str, str]]:
        """Return the times of layers, and layer -> the names of what it was fused from, by commas.

        Only of a model that is compiled to count them.
        """
        fused = {name: _text(notes["originalLayersNames"]) for name, notes in self._layers()}
        return self._loaded[-1].profiling_info, fused

    def _layers(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the notes of every layer of the compiled graph."""
        for layer in self._loaded[0].get_runtime_model().get_ops():
            yield layer.get_friendly_name(), layer.get_rt_info()

    def compute(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D]."""
        _, taken, given, request = self._loaded
        found = request.infer({taken: features_BTM}, share_inputs=True)
        return np.array(found[given], np.float32)


def _text(value: Any) -> str:
    """Return a note of the runtime's graph, which some versions wrap."""
    return value if isinstance(value, str) else str(value.astype(str))


def _port(ports: list[Any], name: str | None) -> Any:
    """Return the port of a name, the first without one."""
    return next(port for port in ports if name is None or name in port.names)


def _read_back(compiled: Any) -> dict[str, str | int | float]:
    """Return the settings that a compiled model says it has."""
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    return {
        "threads": int(compiled.get_property("INFERENCE_NUM_THREADS")),
        "streams": int(compiled.get_property("NUM_STREAMS")),
        "precision": precision if isinstance(precision, str) else precision.get_type_name(),
        "hint": str(compiled.get_property("PERFORMANCE_HINT")).rpartition(".")[2],
        "pinning": "on" if compiled.get_property("ENABLE_CPU_PINNING") else "off",
    }
