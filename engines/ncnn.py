"""ncnn on the CPU, from TorchScript through its converter pnnx.

Not from ONNX: pnnx takes the axis of the pooling over time for another one there, and the embedding
is silently wrong. ncnn knows no batch and no length that varies: a file is for one of both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import ncnn_convert
from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    Support,
    check_features,
)

#: Whatever makes values smaller than 32 bits; all of it is on by default.
SMALLER = ("bf16_storage", "fp16_packed", "fp16_storage", "fp16_arithmetic")
SMALLER_INT8 = ("int8_packed", "int8_storage", "int8_arithmetic", "int8_inference")
#: After a run, threads would wait for so many milliseconds in a loop.
NO_WAIT_MS = 0


class NcnnEngine(EngineBase):
    """ncnn in float32: static models of the catalog.

    Settings: `winograd` convolutions; ncnn flushes denormals, which its Python binding cannot
    change.
    """

    name = "ncnn"
    format: Format = "ncnn"
    default_form: Form = "static"
    from_onnx = False
    distribution = "ncnn"
    choices: Mapping[str, tuple[str, ...]] = {"winograd": ("on", "off")}
    fewer_operations = "Winograd convolutions"

    def probe(self) -> Availability:
        """Import ncnn."""
        try:
            import ncnn
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[ncnn]'"
            )
        return Availability(True, version=ncnn.__version__, build="wheel")

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take static models only."""
        if artifact.form != "static":
            return Support(
                False,
                "ncnn needs a static model: its files are for one length; choose --form static",
            )
        return super().supports(artifact, options)

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Trace the model and hand it to pnnx."""
        ncnn_convert.to_ncnn(model, path, feat_dim=feat_dim, num_frames=num_frames)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "NcnnSession":
        """Load the network."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return NcnnSession(artifact, options.threads, chosen(self, options))


class NcnnSession(SessionBase):
    """One network."""

    def __init__(self, artifact: ModelArtifact, threads: int, settings: Mapping[str, str]) -> None:
        import ncnn

        self._ncnn = ncnn
        self._artifact = artifact
        param, weights = ncnn_convert.read(artifact.path)
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.openmp_blocktime = NO_WAIT_MS
        net.opt.use_winograd_convolution = settings["winograd"] == "on"
        for name in (*SMALLER, *SMALLER_INT8):
            setattr(net.opt, f"use_{name}", False)
        if net.load_param_mem(param) != 0:
            raise EngineError(f"{artifact.path}: ncnn cannot load this model; was it made by pnnx?")
        # The network refers to the weights where they are. Loading them tells nothing; that they
        # are complete is certain from the archive's checksums.
        self._weights = weights
        net.load_model_mem(weights)
        self._net: Any = net
        self._input, self._output = net.input_names()[0], net.output_names()[0]
        self._effective: dict[str, str | int | float] = {
            "threads": net.opt.num_threads,
            "winograd": "on" if net.opt.use_winograd_convolution else "off",
            "smaller_types": ", ".join(n for n in SMALLER if getattr(net.opt, f"use_{n}"))
            or "none",
            "denormals": "flushed to zero",
        }

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Options as the network has them."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D], one utterance after the other."""
        if self._net is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        return np.stack([self._run_one(features_TM) for features_TM in features_BTM])

    def _run_one(self, features_TM: FloatArray) -> FloatArray:
        extractor = self._net.create_extractor()
        if extractor.input(self._input, self._ncnn.Mat(features_TM)) != 0:
            raise EngineError("ncnn did not take the input")
        code, output = extractor.extract(self._output)
        if code != 0:
            raise EngineError(f"ncnn failed with code {code}")
        # The view's memory belongs to the extractor: hand out a copy.
        return np.array(output, np.float32).reshape(-1)

    def close(self) -> None:
        """Drop the network."""
        self._net = None
        self._weights = b""
