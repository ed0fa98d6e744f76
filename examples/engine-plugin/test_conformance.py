"""The engine in the suite that every engine of rtfbench passes."""

from bench.testing import EngineConformance


class TestOnnxReference(EngineConformance):
    """onnx's reference evaluator."""

    name = "onnx-reference"
