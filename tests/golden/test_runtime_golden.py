"""The chunking driver through every engine, against the embeddings of WeSpeaker's C++ runtime."""

import json

import numpy as np
import pytest

from bench.embed.pipeline import Pipeline
from engines import registry
from engines.base import reported
from engines.protocol import (
    MEGA_MACS,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    Session,
    SessionOptions,
)
from frontends.audio import read_audio

from .golden_cases import CASES, FRAMES, GOLDEN, WAVS


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
    counted = float(reported(session)[MEGA_MACS]) * 1e6
    assert 1 <= counted / facts["conv_linear_macs_at_198_frames"] <= 1.001
