"""Engines that are wrong in a part of a model, or after many runs; installed as plug-ins are."""

import ctypes
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from faulty_engines import Faulty, FaultySession

from engines.ort import OnnxRuntimeEngine, OnnxRuntimeSession
from engines.protocol import FloatArray, ModelArtifact, Session, SessionOptions


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

    def run_in_python(self, onnx: str, options: SessionOptions, *, static: bool) -> str:
        """Run it as this engine would."""
        return f"""\
import onnxruntime
from wrong_engines import fused

session = onnxruntime.InferenceSession(fused({onnx!r}), providers=["CPUExecutionProvider"])
found = session.run(None, inputs)[0]
"""

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> OnnxRuntimeSession:
        """Fuse, and open."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "fused.onnx"
            path.write_bytes(fused(artifact.path))
            return super().open(replace(artifact, path=path), options)


class CrashingPool(OnnxRuntimeEngine):
    """Dies of models with a pooling, and does not say how a script would run them."""

    name = "faulty-pool"

    def run_in_python(self, onnx: str, options: SessionOptions, *, static: bool) -> str:
        """Say nothing."""
        return ""

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> OnnxRuntimeSession:
        """Die, or open."""
        if b"AveragePool" in artifact.path.read_bytes():
            ctypes.string_at(0)
        return super().open(artifact, options)


class Leak(Faulty):
    """Keeps 64 kB of every run."""

    name = "faulty-leak"

    def __init__(self) -> None:
        self._kept: list[FloatArray] = []

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Keep memory that was written to: the rest is none."""
        self._kept.append(np.ones(16_000, np.float32))
        return embedding_BD


class Stale(Faulty):
    """Answers what the run before gave."""

    name = "faulty-stale"

    def __init__(self) -> None:
        self._last: FloatArray | None = None

    def spoil(self, embedding_BD: FloatArray) -> FloatArray:
        """Answer the last embedding, and keep this one."""
        last, self._last = self._last, embedding_BD
        return embedding_BD if last is None else last


class Long(Faulty):
    """Dies of input of four seconds and more."""

    name = "faulty-long"

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> Session:
        """Wrap the real session."""
        return LongSession(OnnxRuntimeEngine().open(artifact, options), self)


class LongSession(FaultySession):
    """A real session that dies of much."""

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Die, or run the real session."""
        if features_BTM.shape[1] >= 400:
            ctypes.string_at(0)
        return super().run(features_BTM)
