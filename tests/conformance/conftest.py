"""A tiny model in every format and form, exported as real models are."""

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.cache import sha256_of
from bench.models import conversion
from bench.models.conversion import convert, is_from_onnx
from bench.plan.engine_spec import parse_engine
from bench.zoo import export
from engines import registry
from engines.protocol import ONNX, ConversionError, FloatArray, Form, Format, ModelArtifact
from tests.conftest import PLUGINS

FEAT_DIM, EMBED_DIM, STATIC_FRAMES = 80, 16, 50


def engine_specs() -> list[str]:
    """Return the engines that are tested: the one that is named, else all but the tests' own."""
    named = os.environ.get("RTFBENCH_TEST_ENGINE")
    own = {
        entry.name
        for installed in metadata.distributions(path=[PLUGINS])
        for entry in installed.entry_points
    }
    return [named] if named else [name for name in registry.names() if name not in own]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each engine in turn to what tests one."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", engine_specs(), indirect=True)


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
    """Export the model to ONNX, and make from it what the other engines read."""
    folder = tmp_path_factory.mktemp("tiny")
    formats = {registry.get(parse_engine(spec).name).format for spec in engine_specs()}
    paths: dict[tuple[Format, Form], Path] = {}
    forms: tuple[Form, ...] = ("dynamic", "static")
    for form in forms:
        frames = STATIC_FRAMES if form == "static" else None
        paths[ONNX, form] = folder / f"{form}.onnx"
        export.to_onnx(tiny_model, paths[ONNX, form], feat_dim=FEAT_DIM, num_frames=frames)
        for format_ in sorted((formats | {"mnn"}) - {ONNX}):
            path = paths[format_, form] = folder / f"{form}.{format_}"
            if is_from_onnx(format_):
                convert(paths[ONNX, form], path, format_, static=form == "static")
                continue
            try:
                conversion.export(tiny_model, path, format_, feat_dim=FEAT_DIM, num_frames=frames)
            except ConversionError:
                path.touch()  # a form that such an engine refuses, which is tested
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
