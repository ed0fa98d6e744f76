"""A tiny model in every format and form, exported as real models are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.cache import sha256_of
from bench.zoo import convert, export
from engines.protocol import FloatArray, Form, Format, ModelArtifact

FEAT_DIM, EMBED_DIM, STATIC_FRAMES = 80, 16, 50


class TinyModel(nn.Module):
    """A convolution over the spectrogram, mean over time, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.linear = nn.Linear(4 * FEAT_DIM // 2, EMBED_DIM)

    def forward(self, features_BTM: torch.Tensor) -> torch.Tensor:
        """Map [B, T, M] to [B, D]."""
        image_BCMT = torch.relu(self.conv(features_BTM.transpose(1, 2).unsqueeze(1)))
        embedding_BD: torch.Tensor = self.linear(image_BCMT.mean(-1).flatten(1))
        return embedding_BD


@pytest.fixture(scope="session")
def tiny_model() -> TinyModel:
    """Build the model with fixed weights."""
    torch.manual_seed(0)
    return TinyModel().eval()


@pytest.fixture(scope="session")
def reference(tiny_model: TinyModel) -> Callable[[FloatArray], FloatArray]:
    """Return what torch computes."""

    def run(features_BTM: FloatArray) -> FloatArray:
        with torch.no_grad():
            return np.asarray(tiny_model(torch.from_numpy(features_BTM)).numpy(), np.float32)

    return run


@pytest.fixture(scope="session")
def artifacts(
    tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Format, Form], ModelArtifact]:
    """Export the model to ONNX and MNN, dynamic and static."""
    folder = tmp_path_factory.mktemp("tiny")
    paths: dict[tuple[Format, Form], Path] = {}
    forms: tuple[Form, ...] = ("dynamic", "static")
    for form in forms:
        frames = STATIC_FRAMES if form == "static" else None
        onnx_path, mnn_path = folder / f"{form}.onnx", folder / f"{form}.mnn"
        export.to_onnx(tiny_model, onnx_path, feat_dim=FEAT_DIM, num_frames=frames)
        convert.to_mnn(onnx_path, mnn_path, static=form == "static")
        paths["onnx", form], paths["mnn", form] = onnx_path, mnn_path
    return {
        (format_, form): ModelArtifact(
            name="tiny",
            path=path,
            format=format_,
            form=form,
            num_frames=STATIC_FRAMES if form == "static" else None,
            feat_dim=FEAT_DIM,
            embedding_dim=EMBED_DIM,
            sha256=sha256_of(path),
        )
        for (format_, form), path in paths.items()
    }
