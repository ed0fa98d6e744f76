"""LiteRT (TensorFlow Lite) on the CPU with XNNPACK, for one length."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import torch_program
from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.protocol import (
    Availability,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
    check_features,
)

#: What the interpreter calls the part of a graph that XNNPACK computes.
DELEGATED = "DELEGATE"
#: By itself, pip would put the converter beside packages of years ago, or nowhere.
CURE = (
    "pip install 'rtfbench[litert]' && "
    "pip install --no-deps litert-torch litert-converter ai-edge-quantizer"
)


class LiteRtEngine(EngineBase):
    """LiteRT in float32: static models of the catalog; it has no settings."""

    name = "litert"
    format: Format = "tflite"
    from_onnx = False
    default_form: Form = "static"
    distribution = "ai-edge-litert"
    converters = ("torch", "litert-torch", "litert-converter")
    run_in_python = (
        "(values,) = inputs.values()\n"
        'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)\n'
        "interpreter.invoke()\n"
        'found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])'
    )

    def probe(self) -> Availability:
        """Import the interpreter; the converter is needed only where a file has to be made."""
        try:
            import ai_edge_litert.interpreter  # noqa: F401
        except ImportError as error:
            return Availability(
                False, reason=f"{error}; install it with: pip install 'rtfbench[litert]'"
            )
        return Availability(True, version=version(self.distribution), build="XNNPACK")

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Return how a session is made."""
        return (
            "from ai_edge_litert.interpreter import Interpreter\n"
            f"interpreter = Interpreter({str(artifact.path)!r}, num_threads={options.threads})\n"
            "interpreter.allocate_tensors()"
        )

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Export and convert a torch module in eval mode."""
        torch_program.converted(
            model,
            path,
            engine=self.name,
            package="litert_torch",
            cure=CURE,
            feat_dim=feat_dim,
            num_frames=num_frames,
        )

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> "LiteRtSession":
        """Load the model."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return LiteRtSession(artifact, options.threads, chosen(self, options))


class LiteRtSession(SessionBase):
    """One interpreter."""

    def __init__(self, artifact: ModelArtifact, threads: int, settings: Mapping[str, str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._artifact = artifact
        try:
            interpreter: Any = Interpreter(
                model_content=artifact.path.read_bytes(), num_threads=threads
            )
            interpreter.allocate_tensors()
            (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        except Exception as error:  # the binding raises what it likes
            raise EngineError(
                f"{artifact.path}: litert cannot load this model ({error})"
            ) from error
        self._interpreter = interpreter
        self._input, self._output = taken["index"], given["index"]
        parts = sum(each["op_name"] == DELEGATED for each in interpreter._get_ops_details())
        if not parts:
            raise SettingMismatchError("litert: XNNPACK was asked for, and took no operator")
        # The interpreter does not tell its threads; they are counted at work.
        self._effective: dict[str, str | int | float] = {
            "threads": threads,
            "xnnpack_parts": parts,
            **settings,
        }

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """How many parts of the graph XNNPACK took."""
        return self._effective

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D], one utterance after the other."""
        if self._interpreter is None:
            raise EngineError(f"{self._artifact.name}: the session is closed")
        check_features(self._artifact, features_BTM)
        return np.stack([self._run_one(features_TM) for features_TM in features_BTM])

    def _run_one(self, features_TM: FloatArray) -> FloatArray:
        try:
            self._interpreter.set_tensor(self._input, features_TM[None])
            self._interpreter.invoke()
            output_BD = self._interpreter.get_tensor(self._output)
        except Exception as error:  # as above
            raise EngineError(f"litert failed: {error}") from error
        return np.array(output_BD, np.float32).reshape(-1)

    def close(self) -> None:
        """Drop the model."""
        self._interpreter = None
