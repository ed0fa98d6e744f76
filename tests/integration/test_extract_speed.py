"""What `extract` gains by keeping a session, and what the harness itself costs."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines import registry
from rtfbench.engines.protocol import FloatArray, ModelArtifact, SessionOptions
from rtfbench.frontends.audio import read_blocks
from tests.ready import artifact_for

pytestmark = pytest.mark.speed

ROUNDS = 15
RECORDING = DEFAULT_SPEECH / "short_en_us.flac"

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[[], FloatArray]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    """Make the smallest model for MNN, in dynamic form: its first run pays for the shape."""
    logs = tmp_path_factory.mktemp("logs")
    return artifact_for("xvec", "mnn", form="dynamic", chunk_samples=32000, logs=logs)


def kept(artifact: ModelArtifact) -> Call:
    """Make a call that embeds an utterance with a session that is open and warm."""
    pipeline = Pipeline(32000)
    session = registry.get("mnn").open(artifact, SessionOptions())
    return lambda: pipeline.embed_blocks(session, read_blocks(RECORDING)).embedding_D


def fresh(artifact: ModelArtifact) -> Call:
    """Make a call that opens a session for the utterance, as the C++ program does."""
    pipeline = Pipeline(32000)

    def call() -> FloatArray:
        session = registry.get("mnn").open(artifact, SessionOptions())
        try:
            return pipeline.embed_blocks(session, read_blocks(RECORDING)).embedding_D
        finally:
            session.close()

    return call


@pytest.mark.benchmark(group="an utterance of one second")
@pytest.mark.parametrize("make", [kept, fresh])
def test_benchmark_session(
    benchmark: Any, artifact: ModelArtifact, make: Callable[[ModelArtifact], Call]
) -> None:
    """The time of both is reported; both compute the model's 512 values."""
    embedding_D = benchmark.pedantic(make(artifact), rounds=10, warmup_rounds=2)
    assert embedding_D.shape == (512,)


@pytest.mark.benchmark(group="harness alone, one second")
def test_benchmark_harness(benchmark: Any, tmp_path: Path) -> None:
    """With an engine that computes nothing, reading, front end and cutting remain."""
    pipeline = Pipeline(32000)
    artifact = artifact_for("xvec", "null", form="dynamic", chunk_samples=32000, logs=tmp_path)
    session = registry.get("null").open(artifact, SessionOptions())
    embedded = benchmark(lambda: pipeline.embed_blocks(session, read_blocks(RECORDING)))
    assert len(embedded.chunk_ns) == 1


def test_a_kept_session_is_faster(artifact: ModelArtifact) -> None:
    """In turns, an utterance takes less time with a kept session than with one of its own."""
    calls = {"kept": kept(artifact), "fresh": fresh(artifact)}
    elapsed_ns: dict[str, list[int]] = {name: [] for name in calls}
    for index in range(ROUNDS):
        for name in sorted(calls, reverse=index % 2 == 0):
            before = time.perf_counter_ns()
            calls[name]()
            elapsed_ns[name].append(time.perf_counter_ns() - before)
    pairs = zip(elapsed_ns["kept"], elapsed_ns["fresh"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    assert median(ratios) < 1, np.percentile(ratios, [25, 50, 75]).round(2)


@pytest.mark.benchmark(group="extract sixty recordings")
@pytest.mark.parametrize("jobs", [1, 2])
def test_benchmark_jobs(benchmark: Any, spawned: Command, tmp_path: Path, jobs: int) -> None:
    """The whole program with one worker and with two; the result is complete either way."""
    scp = tmp_path / "wav.scp"
    paths = sorted(DEFAULT_SPEECH.glob("*.flac"))
    scp.write_text("".join(f"u{i} {paths[i % len(paths)]}\n" for i in range(60)))
    result = tmp_path / "e.txt"
    arguments = (
        *("extract", "--wav-scp", scp, "--model", "xvec", "--weights", "seeded", "--overwrite"),
        *("--engine", "onnxruntime", "--jobs", jobs, "--result", result),
    )
    done = benchmark.pedantic(lambda: spawned(*arguments), rounds=2)
    assert done.returncode == 0, done.stderr
    assert result.read_text().count("\n") == 60
