"""What an engine must do that tells of its operators, for `EngineConformance`."""

import numpy as np

from bench.testing import tiny_model
from engines.base import EngineBase
from engines.protocol import ModelArtifact, SessionOptions

RUNS = 3
#: What the convolution and the linear layer are called: tensors, weights in ONNX and in torch.
NAMES = {"convolved", "rectified", "embs", "kernels", "weight", "conv.weight", "linear.weight"}
#: Counters in microseconds may add up to a little more than the clock shows.
ROUNDED = 1.05


class ProfileConformance:
    """Tests of profiles; of engines without any, the total alone is told, and nothing is held."""

    def test_operators_are_named_and_within_their_run(
        self, engine: EngineBase, artifact: ModelArtifact
    ) -> None:
        """Every run has its operators, which take no longer than it and name what they compute."""
        profiler = engine.profiler(artifact, SessionOptions())
        if profiler is None:
            return
        shape = (1, tiny_model.STATIC_FRAMES, tiny_model.FEAT_DIM)
        features_BTM = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        took_ns = [profiler.run(features_BTM) for _ in range(RUNS)]
        runs = profiler.finish()
        assert len(runs) == RUNS
        for run in runs:
            assert run.operators
            assert all(each.ns >= 0 and each.kind for each in run.operators)
            assert sum(each.ns for each in run.operators) <= ROUNDED * max(took_ns)
            assert {name for each in run.operators for name in each.sources} & NAMES
