"""LiteRT (TensorFlow Lite) on the CPU with XNNPACK, for one length.

python -m rtfbench.engines.litert PROGRAM.pt2 MADE.tflite
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtfbench.engines.base import RuntimeSession
from rtfbench.engines.protocol import (
    FloatArray,
    Format,
    ModelArtifact,
    SessionOptions,
    SettingMismatchError,
)
from rtfbench.engines.torch import ProgramEngine

#: What the interpreter calls the part of a graph that XNNPACK computes.
DELEGATED = "DELEGATE"


class LiteRtEngine(ProgramEngine):
    """LiteRT."""

    name = "litert"
    module = "ai_edge_litert.interpreter"
    format: Format = "tflite"
    distribution = "ai-edge-litert"
    converters = ("torch", "litert-torch", "litert-converter")
    converter = "litert_torch"
    # By itself, pip would put the converter beside packages of years ago, or nowhere.
    converter_cure = (
        "pip install 'rtfbench[litert]' && "
        "pip install --no-deps litert-torch litert-converter ai-edge-quantizer"
    )
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

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "LiteRtSession":
        """Load the model."""
        with LiteRtSession.loading(artifact):
            from ai_edge_litert.interpreter import Interpreter

            interpreter: Any = Interpreter(
                model_content=artifact.path.read_bytes(), num_threads=options.threads
            )
            interpreter.allocate_tensors()
            (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        parts = sum(each["op_name"] == DELEGATED for each in interpreter._get_ops_details())
        if not parts:
            raise SettingMismatchError("litert: XNNPACK was asked for, and took no operator")
        loaded = (interpreter, taken["index"], given["index"])
        # The interpreter does not tell its threads; they are counted at work.
        return LiteRtSession(artifact, loaded, {"threads": options.threads, "xnnpack_parts": parts})


class LiteRtSession(RuntimeSession):
    """One interpreter, with the numbers of its input and output."""

    engine = "litert"

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Run one utterance."""
        interpreter, taken, given = self._loaded
        interpreter.set_tensor(taken, features_TM[None])
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given), np.float32).reshape(-1)


def lower(program: Path, made: Path) -> None:
    """Write a program of `torch.export` as a `.tflite` file."""
    import litert_torch
    import torch

    exported = torch.export.load(program)
    inputs, _ = exported.example_inputs
    litert_torch.convert(exported.module(), inputs).export(str(made))


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
