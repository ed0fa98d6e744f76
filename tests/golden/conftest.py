"""ResNet-34 with the golden weights, in every format and form."""

import gzip
import json
from pathlib import Path

import pytest
import torch

from rtfbench.base.cache import sha256_of
from rtfbench.engines.mnn_files import to_mnn
from rtfbench.engines.protocol import Form, Format, ModelArtifact
from rtfbench.models import zoo
from rtfbench.models.zoo import export
from tests.conftest import Once

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
    once: Once, request: pytest.FixtureRequest
) -> dict[tuple[Format, Form, int | None], ModelArtifact]:
    """Export it to both formats: dynamic, and static for each chunk size."""
    lengths = (None, *FRAMES.values())

    def write(folder: Path) -> None:
        model = request.getfixturevalue("golden_model")
        for num_frames in lengths:
            onnx_path = folder / f"{num_frames}.onnx"
            export.to_onnx(model, onnx_path, feat_dim=80, num_frames=num_frames)
            to_mnn(onnx_path, onnx_path.with_suffix(".mnn"), static=num_frames is not None)

    folder = once("golden", write)
    formats: tuple[Format, ...] = ("onnx", "mnn")
    found: dict[tuple[Format, Form, int | None], ModelArtifact] = {}
    for num_frames in lengths:
        form: Form = "dynamic" if num_frames is None else "static"
        for format_ in formats:
            path = folder / f"{num_frames}.{format_}"
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
