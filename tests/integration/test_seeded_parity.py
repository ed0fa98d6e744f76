"""Healthy engines stay far under the parity limit on seeded weights and recorded speech."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from rtfbench.embed.audio_input import check_audio, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.embed.reference import parity_of
from rtfbench.engines import registry
from rtfbench.engines.mnn_files import to_mnn
from rtfbench.engines.protocol import ModelArtifact, SessionOptions
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import ModelCard
from rtfbench.models.zoo.export import TorchSession, to_onnx
from rtfbench.models.zoo.weights import seeded_model
from rtfbench.results.cells import MAX_REL_ERR

#: Leaves room for another CPU, and for models and recordings that are not in this test.
ROOM = 3


# Exporting CAM++ for any number of frames takes torch a minute. RepVGG, the other model in which
# errors grow most, is tried in `test_export.py`, where it is exported.
@pytest.mark.deep
def test_mnn_agrees_with_torch(tmp_path: Path) -> None:
    """Rounding errors of CAM++ stay far under the limit."""
    model, card = seeded_model("campplus"), catalog.get("campplus")
    to_onnx(model, tmp_path / "model.onnx", feat_dim=card.feat_dim, num_frames=None)
    assert_mnn_agrees(tmp_path / "model.onnx", model, card)


def assert_mnn_agrees(onnx: Path, model: nn.Module, card: ModelCard) -> None:
    """MNN's Winograd kernels round coarsely; where errors grow most, a third of the limit stays."""
    to_mnn(onnx, onnx.with_suffix(".mnn"), static=False)
    artifact = ModelArtifact(
        name=card.name,
        path=onnx.with_suffix(".mnn"),
        format="mnn",
        form="dynamic",
        num_frames=None,
        feat_dim=card.feat_dim,
        embedding_dim=card.embed_dim,
        sha256="",
    )
    pipeline = Pipeline(32000)
    utterances = [read_source(source) for source in check_audio([]).sources]
    expected_CD, found_CD = (
        np.concatenate([pipeline.embed(session, each).chunk_embeddings_CD for each in utterances])
        for session in (TorchSession(model), registry.get("mnn").open(artifact, SessionOptions()))
    )
    assert parity_of(found_CD, expected_CD).max_rel_err < MAX_REL_ERR / ROOM
