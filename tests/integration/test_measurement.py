"""How a run measures: sessions, slots, the ghost, paused processes, and what the harness costs."""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.null import NullEngine
from rtfbench.engines.protocol import ModelArtifact, SessionOptions
from rtfbench.frontends.audio import Waveform, read_audio
from tests.ready import artifact_for

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run."""
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def test_ratios_rest_on_sessions(six_sessions: Path) -> None:
    """A ratio names its sessions and blocks, and its interval is around it."""
    summary = json.loads((six_sessions / "summary.json").read_text())
    (ratio,) = summary["ratios"]
    assert set(ratio) >= {
        "model", "threads", "chunk_samples", "protocol", "engine", "reference", "ratio", "ci95",
        "blocks", "sessions", "decided",
    }  # fmt: skip
    assert (ratio["engine"], ratio["reference"]) == ("mnn", "onnxruntime")
    assert ratio["sessions"] >= 6
    assert ratio["blocks"] >= ratio["sessions"]
    assert ratio["ci95"][0] <= ratio["ratio"] <= ratio["ci95"][1]
    assert [cell["sessions"] for cell in summary["cells"]] == [ratio["sessions"]] * 2


def test_the_ghost_is_no_row_but_the_noise_floor(six_sessions: Path) -> None:
    """The reference takes turns with itself; the result says what came of it."""
    summary = json.loads((six_sessions / "summary.json").read_text())
    assert [cell["engine"] for cell in summary["cells"]] == ["onnxruntime", "mnn"]
    (ghost,) = summary["noise"]["ghosts"]
    assert ghost["reference"] == "onnxruntime"
    assert ghost["half_width"] > 0
    assert summary["noise"]["contaminated"] is not ghost["contains_one"]
    assert summary["noise"]["sentence"]
    assert "ghost" not in (six_sessions / "table.md").read_text()
    embeddings = list((six_sessions / "embeddings").iterdir())
    assert len(embeddings) == 2


def test_the_course_is_declared_before_anything_is_measured(six_sessions: Path) -> None:
    """Looks, alpha and precision stand in the records ahead of the first measurement."""
    kinds = [line["kind"] for line in lines(six_sessions)]
    assert kinds.index("course") < kinds.index("record")
    (course,) = [line for line in lines(six_sessions) if line["kind"] == "course"]
    assert course["looks"][0] == 6
    assert 0 < course["alpha"] <= 0.05
    assert course["precision"] == 0.015


def test_turns_are_palindromes_of_the_same_utterances(six_sessions: Path) -> None:
    """In every block each cell has two slots at mirrored positions, all with the same speech."""
    records = [line for line in lines(six_sessions) if line["kind"] == "record"]
    blocks = {(r["session"], r["block"]) for r in records}
    assert len({session for session, _ in blocks}) >= 6
    for session, block in blocks:
        here = [r for r in records if (r["session"], r["block"]) == (session, block)]
        cells = {r["cell_id"] for r in here}
        assert len(cells) == 3
        for cell in cells:
            positions = {r["position"] for r in here if r["cell_id"] == cell}
            assert sum(positions) == 2 * len(cells) - 1
        assert (
            len({frozenset(r["utterance"] for r in here if r["cell_id"] == c) for c in cells}) == 1
        )


def test_every_block_has_its_health(six_sessions: Path) -> None:
    """The kernel's counters and the cores' peak, block by block."""
    found = lines(six_sessions)
    health = [line for line in found if line["kind"] == "health"]
    blocks = {(r["session"], r["block"]) for r in found if r["kind"] == "record"}
    assert {(line["session"], line["block"]) for line in health} == blocks
    assert all(line["peak_gflops"] > 1 for line in health)
    assert all(line["wall_ns"] > 0 for line in health)


def test_memory_is_weighed_apart(six_sessions: Path) -> None:
    """Rows have the peak and the steady size, of a process that no sampler looked at."""
    for cell in json.loads((six_sessions / "summary.json").read_text())["cells"]:
        assert 20 < cell["steady_rss_mb"] <= cell["peak_rss_mb"]


def reaches(pid: int, state: str, *, timeout_s: float = 20) -> bool:
    """Wait until a process is in a state, as ps(1) names them; one that is gone is in Z."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            found = "Z"
        if found == state:
            return True
        time.sleep(0.02)
    return False


def test_a_paused_worker_dies_with_its_parent(tmp_path: Path) -> None:
    """A process that is stopped cannot see that its parent is gone: the kernel ends it."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "from rtfbench.base.child import Child\n"
        "from rtfbench.measure.messages import REPLY\n"
        "child = Child('sleeper', '{}', 'c', logs=pathlib.Path(sys.argv[1]),"
        " replies=REPLY)\n"
        "child.receive(60)\n"
        "child.pause()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert reaches(child, "T")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert reaches(child, "Z"), "still there, though its parent is gone"


@pytest.mark.measures
def test_doctor_says_what_this_machine_resolves(spawned: Command) -> None:
    """The noise floor, the harness's own cost and advice, from a short measurement."""
    done = spawned("doctor", "--model", "xvec", "--budget", 4)
    assert done.returncode in (0, 1), done.stderr
    assert "itself / itself: " in done.stdout
    assert "two engines that differ by" in done.stdout
    assert "inside timed slots" in done.stdout
    assert "µs a chunk" in done.stdout
    wrong = spawned("doctor", "--model", "xvek")
    assert wrong.returncode == 2
    assert "did you mean xvec" in wrong.stderr


@pytest.fixture(scope="module")
def resnet34(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    """Make the model whose chunk the harness's own cost is held against."""
    logs = tmp_path_factory.mktemp("logs")
    return artifact_for("resnet34", "onnxruntime", form="dynamic", chunk_samples=32000, logs=logs)


@pytest.fixture(scope="module")
def sentence() -> Waveform:
    """Return 14 s of speech: 7 chunks."""
    return read_audio(DEFAULT_SPEECH / "workshop_en_gb_f.flac")


def cost_ns(session: SessionBase, pipeline: Pipeline, waveform: Waveform) -> float:
    """Return a chunk's time without its front end."""
    embedded = pipeline.embed(session, waveform)
    return (embedded.processing_ns - embedded.frontend_ns) / len(embedded.chunk_ns)


@pytest.mark.speed
@pytest.mark.benchmark(group="harness: 14 s of speech, engine that computes nothing and a real one")
@pytest.mark.parametrize("engine", ["null", "onnxruntime"])
def test_benchmark_utterance(
    benchmark: Any, engine: str, resnet34: ModelArtifact, sentence: Waveform
) -> None:
    """Show both side by side."""
    made = NullEngine() if engine == "null" else registry.get(engine)
    session = made.open(resnet34, SessionOptions())
    pipeline = Pipeline(32000)
    benchmark.pedantic(pipeline.embed, (session, sentence), rounds=5, warmup_rounds=1)


@pytest.mark.measures
def test_the_harness_costs_under_a_hundredth(resnet34: ModelArtifact, sentence: Waveform) -> None:
    """Side by side in one run: cutting, calling and pooling against a ResNet-34 chunk."""
    null = NullEngine().open(resnet34, SessionOptions())
    real = registry.get("onnxruntime").open(resnet34, SessionOptions())
    pipeline = Pipeline(32000)
    pairs = [[cost_ns(session, pipeline, sentence) for session in (null, real)] for _ in range(7)]
    assert statistics.median(ours / chunk for ours, chunk in pairs) < 0.01


@pytest.mark.benchmark(group="harness: share of measuring inside timed slots")
def test_measuring_is_mostly_timed(benchmark: Any, spawned: Command, tmp_path: Path) -> None:
    """At least 85 % of the measuring phase is work that counts; a share, whatever the machine."""
    out = tmp_path / "out"
    arguments = ("run", "--engine", "onnxruntime", "--engine", "mnn", "--protocol", "steady")
    done = benchmark.pedantic(
        spawned,
        (*arguments, "--budget", 5, "--sessions", 2, "--out", out),
        rounds=1,
        iterations=1,
    )
    assert done.returncode == 0, done.stderr
    share = json.loads((out / "summary.json").read_text())["noise"]["timed_share"]
    benchmark.extra_info["timed_share"] = share
    assert 0.85 <= share <= 1
