"""LiteRT (TensorFlow Lite) on the CPU with XNNPACK, for one length.

python -m rtfbench.engines.litert PROGRAM.pt2 MADE.tflite
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines import torch_program
from rtfbench.engines.base import RuntimeEngine, RuntimeSession
from rtfbench.engines.protocol import (
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
)

#: What the interpreter calls the part of a graph that XNNPACK computes.
DELEGATED = "DELEGATE"
#: By itself, pip would put the converter beside packages of years ago, or nowhere.
CURE = (
    "pip install 'rtfbench[litert]' && "
    "pip install --no-deps litert-torch litert-converter ai-edge-quantizer"
)


class LiteRtEngine(RuntimeEngine):
    """LiteRT in float32: static models of the catalog; it has no settings.

    The converter is needed only where a file has to be made.
    """

    name = "litert"
    module = "ai_edge_litert.interpreter"
    build = "XNNPACK"
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

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "LiteRtSession":
        """Load the model."""
        return LiteRtSession(artifact, options.threads)


class LiteRtSession(RuntimeSession):
    """One interpreter."""

    engine = "litert"

    def __init__(self, artifact: ModelArtifact, threads: int) -> None:
        with self.loading(artifact):
            from ai_edge_litert.interpreter import Interpreter

            interpreter: Any = Interpreter(
                model_content=artifact.path.read_bytes(), num_threads=threads
            )
            interpreter.allocate_tensors()
            (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        self._input, self._output = taken["index"], given["index"]
        parts = sum(each["op_name"] == DELEGATED for each in interpreter._get_ops_details())
        if not parts:
            raise SettingMismatchError("litert: XNNPACK was asked for, and took no operator")
        # The interpreter does not tell its threads; they are counted at work.
        super().__init__(artifact, interpreter, {"threads": threads, "xnnpack_parts": parts})

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Run one utterance."""
        self._loaded.set_tensor(self._input, features_TM[None])
        self._loaded.invoke()
        return np.array(self._loaded.get_tensor(self._output), np.float32).reshape(-1)


def lower(program: Path, made: Path) -> None:
    """Write a program of `torch.export` as a `.tflite` file."""
    import litert_torch
    import torch

    exported = torch.export.load(program)
    inputs, _ = exported.example_inputs
    litert_torch.convert(exported.module(), inputs).export(str(made))


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
