"""ResNet-34 with the golden weights, in every format and form."""

import gzip
import json
from pathlib import Path

import pytest
import torch

from bench import zoo
from bench.base.cache import sha256_of
from bench.zoo import export
from engines.mnn_convert import to_mnn
from engines.protocol import Form, Format, ModelArtifact

from .golden_cases import FRAMES, GOLDEN
from .golden_weights import load_golden_weights


@pytest.fixture(scope="session")
def golden_model() -> torch.nn.Module:
    """Build ResNet-34 with the golden weights."""
    with gzip.open(GOLDEN / "state_dicts.json.gz", "rt") as file:
        shapes = json.load(file)["resnet34"]
    model = zoo.build("resnet34")
    load_golden_weights(model, shapes)
    return model


@pytest.fixture(scope="session")
def artifacts(
    golden_model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Format, Form, int | None], ModelArtifact]:
    """Export it to both formats: dynamic, and static for each chunk size."""
    folder = tmp_path_factory.mktemp("golden")
    found: dict[tuple[Format, Form, int | None], ModelArtifact] = {}
    for num_frames in (None, *FRAMES.values()):
        form: Form = "dynamic" if num_frames is None else "static"
        onnx_path, mnn_path = folder / f"{num_frames}.onnx", folder / f"{num_frames}.mnn"
        export.to_onnx(golden_model, onnx_path, feat_dim=80, num_frames=num_frames)
        to_mnn(onnx_path, mnn_path, static=form == "static")
        formats: dict[Format, Path] = {"onnx": onnx_path, "mnn": mnn_path}
        for format_, path in formats.items():
            found[format_, form, num_frames] = ModelArtifact(
                name="resnet34",
                path=path,
                format=format_,
                form=form,
                num_frames=num_frames,
                feat_dim=80,
                embedding_dim=256,
                sha256=sha256_of(path),
            )
    return found
