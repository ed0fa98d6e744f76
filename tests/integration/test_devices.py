"""Devices as values: one from outside is measured as the CPU is, an unknown one refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtfbench import load_run
from rtfbench.embed.reference import parity_of
from rtfbench.engines import cuda, registry
from rtfbench.engines.protocol import ModelArtifact, Precision, SessionOptions
from rtfbench.results.rows import CellSummary, Summary
from rtfbench.testing import tiny_model
from tests.plugins.second_device import GONE
from tests.unit.measure.test_wire import SPEC

from .extraction import Command

ENGINES = ("--engine", "two-places", "--engine", "onnxruntime")
DEVICES = ("cpu", "stand-in", "stand-in:1", "cuda")


@pytest.fixture(scope="module")
def found(
    rtfbench: Command,
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Summary:
    """Measure on two devices."""
    folder = tmp_path_factory.mktemp("devices")
    done = rtfbench(
        *("run", "--model", model, *ENGINES, *(f"--device={each}" for each in DEVICES)),
        *("--protocol", "steady", "--budget", 0.2, "--sessions", 1, "--out", folder / "run"),
    )
    assert done.returncode == 1, done.stderr
    checked = rtfbench("check", folder / "run")
    assert checked.returncode == 0, checked.stdout
    return load_run(folder / "run").summary


def row_of(found: Summary, label: str) -> CellSummary:
    """Return the row of an engine on a device."""
    (row,) = [row for row in found.cells if row.engine_label == label]
    return row


def test_a_device_from_outside_is_measured(found: Summary) -> None:
    """Its rows stand beside the CPU's, with ratios, and what it says of pinning and memory."""
    here, there = row_of(found, "two-places"), row_of(found, "two-places on stand-in")
    assert (here.status, here.device) == ("ok", "cpu")
    assert (there.status, there.device) == ("ok", "stand-in")
    assert there.parity
    assert there.parity.ok
    assert there.effective["host_cores"] == 1
    assert "threads_at_work" not in there.effective
    assert "computed on the stand-in" in there.note
    assert (there.peak_rss_mb, there.steady_rss_mb) == (3000.0, 2000.0)
    assert here.effective["threads_at_work"] == 1
    assert here.peak_rss_mb
    assert here.peak_rss_mb < 3000.0
    assert "two-places on stand-in" in [ratio.engine for ratio in found.ratios]


def test_energy_is_that_of_the_devices_counters(found: Summary) -> None:
    """5 W of the stand-in are there when nothing runs, and 10 W a core are above idle."""
    there = row_of(found, "two-places on stand-in")
    assert there.effective["energy"] == "a stand-in's counters"
    assert there.energy_j_per_h
    assert there.energy_above_idle_j_per_h
    assert there.rtf
    assert there.cpu_per_wall
    an_hour_s = there.rtf * 3600
    # Counters are read a little before and after the clock is.
    assert 5 * an_hour_s < there.energy_j_per_h < 40 * an_hour_s
    least = 0.5 * 10 * there.cpu_per_wall * an_hour_s
    assert least < there.energy_above_idle_j_per_h < there.energy_j_per_h - 4 * an_hour_s
    assert there.energy_ci95 is None  # of one session


def test_copies_to_a_device_are_told_apart(found: Summary) -> None:
    """What binding input and output costs is counted there, and inside the time of a chunk."""
    here, there = row_of(found, "two-places"), row_of(found, "two-places on stand-in")
    assert here.rtf_copy is None
    assert there.rtf_copy
    assert there.rtf_engine
    assert 0 < there.rtf_copy < there.rtf_engine


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16", "fp16"])
def test_torch_computes_on_a_device(tmp_path: Path, precision: Precision) -> None:
    """In every precision that other devices have; TF32 is never there unless it is asked for."""
    engine = registry.get("torch-in-two-places")
    path = tmp_path / "tiny.pt2"
    model = tiny_model.as_torch()
    engine.export(model, path, feat_dim=tiny_model.FEAT_DIM, num_frames=None)
    artifact = ModelArtifact(
        "tiny", path, "pt2", "dynamic", None, tiny_model.FEAT_DIM, tiny_model.EMBED_DIM, ""
    )
    options = SessionOptions(precision=precision, device="stand-in")
    assert engine.supports(artifact, options).ok
    session = engine.open(artifact, options)
    features_BTM = np.random.default_rng(0).standard_normal(
        (3, tiny_model.STATIC_FRAMES, tiny_model.FEAT_DIM), np.float32
    )
    expected_BD = tiny_model.reference(features_BTM)
    found_BD = session.run(features_BTM)
    assert parity_of(found_BD, expected_BD, precision).ok
    assert session.operators() == {precision: 2}
    assert session.copy_ns
    refused = engine.supports(artifact, SessionOptions(precision="tf32")).reason
    assert refused == "torch-in-two-places does not compute in tf32; it has: float32, bf16"


def test_a_device_that_is_not_here_is_unavailable(found: Summary) -> None:
    """Each row says what is missing, and what to do."""
    row = row_of(found, "two-places on stand-in:1")
    assert (row.status, row.reason) == ("unavailable", GONE)
    gone = cuda.missing("cuda") or "this build of onnxruntime has no CUDAExecutionProvider"
    row = row_of(found, "onnxruntime on cuda")
    assert (row.status, row.rtf) == ("unavailable", None)
    assert row.reason.startswith(gone)


def test_an_engine_is_not_asked_where_it_does_not_compute(found: Summary) -> None:
    """It becomes a row that says so."""
    row = row_of(found, "onnxruntime on stand-in")
    assert (row.status, row.rtf) == ("unsupported", None)
    assert row.reason == "onnxruntime computes on cpu or cuda, not on stand-in"


def test_an_unknown_device_is_refused_in_one_line(rtfbench: Command, tmp_path: Path) -> None:
    """By a plan, with the names that are known and status 2."""
    plan = tmp_path / "plan.toml"
    plan.write_text('devices = ["tpu"]\n')
    done = rtfbench("run", plan, "--out", tmp_path / "run")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{plan}: devices: no device 'tpu'; known: cpu" in line


def test_a_worker_refuses_an_unknown_device(tmp_path: Path) -> None:
    """It ends in one line before a runtime is loaded."""
    content = SPEC.model_dump(mode="json")
    content["cell"]["device"] = "tpu"
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.worker", str(spec)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{spec}: cell.device: no device 'tpu'; known: cpu")


def test_a_cell_on_the_cpu_keeps_its_name() -> None:
    """Runs of before there were devices can be resumed; another device is another cell."""
    cell = SPEC.cell
    assert cell.id("0") == "f92271336958582a"
    assert cell.model_copy(update={"device": "stand-in"}).id("0") != cell.id("0")
