"""The chunking driver, `extract` and `verify` against the embeddings of WeSpeaker's C++ runtime."""

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from rtfbench.embed.embeddings import read_embeddings
from rtfbench.embed.pipeline import Pipeline
from rtfbench.embed.scoring import similarity
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import (
    MEGA_MACS,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
)
from rtfbench.frontends.audio import read_audio

from .golden_cases import CASES, COMMAND_CASES, FRAMES, GOLDEN, WAVS

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Artifacts = dict[tuple[Format, Form, int | None], ModelArtifact]


@pytest.mark.parametrize(("engine", "form", "chunk_samples"), CASES)
def test_embeddings_are_the_runtimes(
    artifacts: Artifacts,
    engine: str,
    form: Form,
    chunk_samples: int,
) -> None:
    """All five utterances equal the C++ runtime's embedding within 1e-3 of its largest value."""
    found = registry.get(engine)
    num_frames = FRAMES[chunk_samples] if form == "static" else None
    session: SessionBase = found.open(artifacts[found.format, form, num_frames], SessionOptions())
    pipeline = Pipeline(chunk_samples)
    with np.load(GOLDEN / "wespeaker_runtime.npz") as golden:
        for wav in WAVS:
            expected_D: FloatArray = golden[f"embedding_{wav.stem}_chunk{chunk_samples}"]
            embedding_D = pipeline.embed(session, read_audio(wav)).embedding_D
            error = np.abs(embedding_D - expected_D).max() / np.abs(expected_D).max()
            assert error <= 1e-3, f"{wav.stem}: {error:.1e}"


def test_runtimes_count_what_we_count(artifacts: Artifacts) -> None:
    """MNN counts our multiply-accumulates at 198 frames, and 0.1 % more for its additions."""
    facts = json.loads((GOLDEN / "zoo.json").read_text())["resnet34"]
    session = registry.get("mnn").open(artifacts["mnn", "static", 198], SessionOptions())
    counted = float(session.reported[MEGA_MACS]) * 1e6
    assert 1 <= counted / facts["conv_linear_macs_at_198_frames"] <= 1.001


def with_card(artifact: ModelArtifact) -> Path:
    """Write the facts of a model file beside it and return its path."""
    named = dataclasses.replace(artifact, path=Path(artifact.path.name))
    card = artifact.path.with_name(f"{artifact.path.name}.json")
    card.write_bytes(TypeAdapter(ModelArtifact).dump_json(named))
    return artifact.path


@pytest.mark.parametrize(("engine", "form", "chunk_samples"), COMMAND_CASES)
def test_extract_is_the_runtimes(
    rtfbench: Command,
    artifacts: Artifacts,
    tmp_path: Path,
    engine: str,
    form: Form,
    chunk_samples: int,
) -> None:
    """Every line of the result equals the C++ program's within 1e-3 of its largest value."""
    num_frames = FRAMES[chunk_samples] if form == "static" else None
    model = with_card(artifacts[registry.get(engine).format, form, num_frames])
    done = rtfbench(
        *("extract", "--wav", GOLDEN / "wav", "--model", model, "--engine", engine),
        *("--samples-per-chunk", chunk_samples, "--jobs", 2, "--result", tmp_path / "e.txt"),
    )
    assert done.returncode == 0, done.stderr
    found = dict(read_embeddings(tmp_path / "e.txt"))
    assert list(found) == [wav.stem for wav in WAVS]
    with np.load(GOLDEN / "wespeaker_runtime.npz") as golden:
        for name, embedding_D in found.items():
            expected_D = golden[f"embedding_{name}_chunk{chunk_samples}"]
            error = np.abs(embedding_D - expected_D).max() / np.abs(expected_D).max()
            assert error <= 1e-3, f"{name}: {error:.1e}"


def test_verify_is_the_runtimes(rtfbench: Command, artifacts: Artifacts) -> None:
    """The score is that of the C++ runtime's embeddings, whose cosine it maps to [0, 1].

    A static model of 198 frames dictates the chunk: another size that is asked for is refused.
    """
    model = with_card(artifacts["mnn", "static", 198])
    with np.load(GOLDEN / "wespeaker_runtime.npz") as golden:
        first, second = (golden[f"embedding_{wav.stem}_chunk32000"] for wav in WAVS[:2])
    pair = ("verify", "--enroll", WAVS[0], "--test", WAVS[1], "--model", model, "--engine", "mnn")
    refused = rtfbench(*pair, "--samples-per-chunk", 80000)
    assert refused.returncode == 2
    assert "--chunk-samples 32000 fits" in refused.stderr
    done = rtfbench(*pair)
    assert done.returncode == 0, done.stderr
    found = re.match(r"score ([\d.]+); no decision", done.stdout)
    assert found
    assert float(found[1]) == pytest.approx(similarity(first, second), abs=1e-3)
