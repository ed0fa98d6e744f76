"""The chunking driver through every engine, against the embeddings of WeSpeaker's C++ runtime."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import zoo
from bench.cache import sha256_of
from bench.pipeline import Pipeline
from bench.zoo import convert, export
from engines import registry
from engines.protocol import FloatArray, Form, Format, ModelArtifact, Session, SessionOptions
from frontends.audio import read_audio

from .golden_weights import load_golden_weights

GOLDEN = Path(__file__).parent
WAVS = sorted((GOLDEN / "wav").glob("*.wav"))
FRAMES = {32000: 198, 80000: 498}
# The whole utterance takes a dynamic model.
FORMS: dict[str, tuple[Form, ...]] = {
    "onnxruntime": ("dynamic", "static"),
    "mnn": ("dynamic", "static"),
    "mnn-mini": ("static",),
}
CASES: list[tuple[str, Form, int]] = [
    (engine, form, chunk_samples)
    for engine, forms in FORMS.items()
    for form in forms
    for chunk_samples in (32000, 80000, -1)
    if form == "dynamic" or chunk_samples > 0
]


@pytest.fixture(scope="module")
def golden_model() -> torch.nn.Module:
    """Build ResNet-34 with the golden weights."""
    with gzip.open(GOLDEN / "state_dicts.json.gz", "rt") as file:
        shapes = json.load(file)["resnet34"]
    model = zoo.build("resnet34")
    load_golden_weights(model, shapes)
    return model


@pytest.fixture(scope="module")
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
        convert.to_mnn(onnx_path, mnn_path, static=form == "static")
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


@pytest.mark.parametrize(("engine", "form", "chunk_samples"), CASES)
def test_embeddings_are_the_runtimes(
    artifacts: dict[tuple[Format, Form, int | None], ModelArtifact],
    engine: str,
    form: Form,
    chunk_samples: int,
) -> None:
    """All five utterances equal the C++ runtime's embedding within 1e-3 of its largest value."""
    found = registry.get(engine)
    num_frames = FRAMES[chunk_samples] if form == "static" else None
    session: Session = found.open(artifacts[found.format, form, num_frames], SessionOptions())
    pipeline = Pipeline(chunk_samples)
    with np.load(GOLDEN / "wespeaker_runtime.npz") as golden:
        for wav in WAVS:
            expected_D: FloatArray = golden[f"embedding_{wav.stem}_chunk{chunk_samples}"]
            embedding_D = pipeline.embed(session, read_audio(wav)).embedding_D
            error = np.abs(embedding_D - expected_D).max() / np.abs(expected_D).max()
            assert error <= 1e-3, f"{wav.stem}: {error:.1e}"


def test_runtimes_count_what_we_count(
    artifacts: dict[tuple[Format, Form, int | None], ModelArtifact],
) -> None:
    """MNN counts our multiply-accumulates at 198 frames, and 0.1 % more for its additions."""
    facts = json.loads((GOLDEN / "zoo.json").read_text())["resnet34"]
    session = registry.get("mnn").open(artifacts["mnn", "static", 198], SessionOptions())
    counted = float(session.effective["mega_macs"]) * 1e6
    assert 1 <= counted / facts["conv_linear_macs_at_198_frames"] <= 1.001
