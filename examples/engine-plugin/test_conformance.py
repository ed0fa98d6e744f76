"""The engine in the suite that every engine of rtfbench passes."""

from rtfbench.testing import EngineConformance


class TestOnnxReference(EngineConformance):
    """onnx's reference evaluator."""

    name = "onnx-reference"
