"""Engines that are wrong in a part of a model; installed as a plug-in would be."""

import ctypes
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.engines.base import SessionBase
from rtfbench.engines.ort import OnnxRuntimeEngine
from rtfbench.engines.protocol import ModelArtifact, SessionOptions


def fused(path: Path) -> bytes:
    """Return a model in which every gate, a sigmoid that is multiplied, is open."""
    import onnx

    model = onnx.load(str(path))
    multiplied = {name for n in model.graph.node if n.op_type == "Mul" for name in n.input}
    for node in model.graph.node:
        if node.op_type == "Sigmoid" and multiplied & set(node.output):
            node.op_type = "Identity"
    content: bytes = model.SerializeToString()
    return content


class WrongFusion(OnnxRuntimeEngine):
    """Right on every operator alone: it is wrong where a sigmoid and a product stand together."""

    name = "faulty-fusion"

    def in_python(self, artifact: ModelArtifact, options: SessionOptions) -> str:
        """Open it as this engine would."""
        return f"""\
import onnxruntime
from wrong_engines import fused

session = onnxruntime.InferenceSession(
    fused({str(artifact.path)!r}), providers=["CPUExecutionProvider"]
)
"""

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Fuse, and open."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "fused.onnx"
            path.write_bytes(fused(artifact.path))
            return super().open(replace(artifact, path=path), options)


class CrashingPool(OnnxRuntimeEngine):
    """Dies of models with a pooling, and does not say how a script would run them."""

    name = "faulty-pool"

    run_in_python = ""

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Die, or open."""
        if b"AveragePool" in artifact.path.read_bytes():
            ctypes.string_at(0)
        return super().open(artifact, options)
