"""Other precisions from end to end, on the real runtimes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.measure.trial_check import HELDOUT
from rtfbench.models.probe import lacks

Command = Callable[..., "subprocess.CompletedProcess[str]"]

#: What a host may lack the instructions for; its row then has the reason.
NATIVE = ("openvino:bf16", "torch:bf16")

#: Each kind of precision and each way to make its file once; then all that there are.
SOME = ("onnxruntime", "onnxruntime:int8", "openvino:bf16", "openvino:int8", "mnn:int8-weights")
ENGINES = (*SOME, "mnn:fp16-weights", "mnn:int8", "torch:bf16")
FALLS_BACK = "faulty-falls-back:bf16"
#: Quantisers that take the process with them or raise anything, with what their rows say.
HOSTILE = {"faulty-quantizer:int8": "SIGSEGV", "faulty-quantizer:fp16": "inside the quantiser"}
#: In bytes, against the same engine's in float32: weights are most of a file.
SMALLER = {"onnxruntime:int8": 0.3, "mnn:int8-weights": 0.3, "mnn:fp16-weights": 0.6}


def lacking_here(name: str) -> str:
    """Return why this host cannot compute in an engine's precision, nothing where it can."""
    engine, _, precision = name.partition(":")
    return lacks(engine).get(precision, "") if name in NATIVE else ""


def rows_of(summary: str) -> dict[str, dict[str, Any]]:
    """Return engine and precision -> row."""
    return {
        f"{row['engine']}:{row['precision']}".removesuffix(":float32"): row
        for row in json.loads(summary)["cells"]
    }


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a part of the package's trials: of ten speakers, the fewest for an interval."""
    path = tmp_path_factory.mktemp("trials") / "trials"
    lines = (HELDOUT / "trials").read_text().splitlines()
    few = [line for line in lines if max(line.split()[:2]) < "s010"]
    path.write_text("\n".join(few) + "\n")
    return path


@pytest.fixture(
    scope="module",
    params=[SOME, pytest.param(ENGINES, marks=pytest.mark.deep)],
    ids=["some", "all"],
)
def chosen(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the engines that are measured."""
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture(scope="module")
def measured(
    rtfbench: Command,
    chosen: tuple[str, ...],
    trials: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Run XVEC in the precisions that engines here have, beside a plug-in that has none."""
    folder = tmp_path_factory.mktemp("precision") / "run"
    engines = [part for name in (*chosen, FALLS_BACK) for part in ("--engine", name)]
    recordings = tmp_path_factory.mktemp("recordings")
    for name in sorted({n for line in trials.read_text().splitlines() for n in line.split()[:2]}):
        (recordings / f"{name}.ogg").symlink_to(HELDOUT / f"{name}.ogg")
    done = rtfbench(
        *("run", "--model", "xvec", *engines, "--protocol", "steady", "--budget", 0.5),
        *("--audio", sorted(DEFAULT_SPEECH.glob("*.flac"))[0], "--sessions", 1),
        *("--trials", trials, "--trial-audio", recordings, "--max-eer-loss", 50),
        *("--out", folder, "--bare"),
    )
    assert done.returncode == 1, done.stderr  # the plug-in's row
    return folder


def test_every_precision_is_measured_and_proved(measured: Path, chosen: tuple[str, ...]) -> None:
    """Rows have a time, a loss of EER, and what the runtime says that it computed in."""
    rows = rows_of((measured / "summary.json").read_text())
    assert rows.keys() == {*chosen, FALLS_BACK}
    for name in chosen:
        row = rows[name]
        if reason := lacking_here(name):
            assert (row["status"], row["reason"], row["rtf"]) == ("unsupported", reason, None)
            continue
        assert row["status"] == "ok", row["reason"]
        assert row["rtf"] > 0
        assert 0 <= row["eer"] < 0.2
        assert (row["eer_loss"] is None) == (row["precision"] == "float32")
        if row["precision"] in ("int8", "bf16"):
            assert f"in {row['precision']}" in row["effective"]["operators"]
    for name, most in SMALLER.items():
        if name not in chosen:
            continue
        whole = rows["onnxruntime"]["artifact_bytes"]
        assert rows[name]["artifact_bytes"] < most * whole, name


def test_a_quantiser_that_crashes_costs_its_own_row(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """Whether it dies or raises, the files of the others are made and their rows are measured."""
    out = tmp_path / "run"
    engines = [part for name in (*HOSTILE, "mnn") for part in ("--engine", name)]
    done = rtfbench(
        *("run", "--model", write_tiny_onnx(tmp_path / "tiny.onnx"), *engines),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 1, done.stderr
    rows = rows_of((out / "summary.json").read_text())
    assert {name: row["status"] for name, row in rows.items()} == {
        **dict.fromkeys(HOSTILE, "failed"),
        "mnn": "ok",
    }
    for name, reason in HOSTILE.items():
        assert reason in rows[name]["reason"]


def test_a_fallback_to_float32_is_no_result(measured: Path) -> None:
    """An engine that says bf16 and computes in float32 ends as a row with the reason."""
    table = (measured / "table.md").read_text()
    reason = rf"{FALLS_BACK}, dynamic: failed: asked for bf16, but of what computes: \d+ in float32"
    assert re.search(reason, table)


def test_files_say_how_they_were_made(measured: Path) -> None:
    """The recipe and the calibration stand in the report."""
    table = (measured / "table.md").read_text()
    assert "onnxruntime:int8: onnxruntime's static quantiser" in table
    assert "nncf: post-training" in table
    assert "chunks of speech" in table


def test_what_loses_too_much_is_wrong(
    rtfbench: Command, measured: Path, chosen: tuple[str, ...]
) -> None:
    """The limit of a run is kept with it, and a row that surely loses more has no time."""
    options = measured / "trials.json"
    assert json.loads(options.read_text()) == {"max_eer_loss": 50.0}
    embeddings = sorted((measured / "embeddings").glob("*.npz"))
    here = [name for name in chosen if not lacking_here(name)]
    assert len(embeddings) >= len(here)
    done = rtfbench("report", measured, "--format", "json")
    assert done.returncode == 0
    status = {name: row["status"] for name, row in rows_of(done.stdout).items()}
    assert {status[name] for name in here} == {"ok"}
    assert status[FALLS_BACK] == "failed"


def test_a_precision_that_an_engine_lacks_is_a_row(
    rtfbench: Command, tmp_path: Path, trials: Path
) -> None:
    """Asked for by name, it is refused with what the engine has."""
    done = rtfbench(
        *("run", "--model", "xvec", "--engine", "onnxruntime:bf16", "--budget", 0.1),
        *("--protocol", "steady", "--out", tmp_path / "run"),
    )
    assert done.returncode == 1
    assert "onnxruntime does not compute in bf16; it has: float32, int8" in done.stdout


def test_extract_in_int8(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """One engine in one precision is named wherever an engine is."""
    found = {}
    for engine in ("onnxruntime", "onnxruntime:int8"):
        done = rtfbench("extract", short_speech, "--model", model, "--engine", engine)
        assert done.returncode == 0, done.stderr
        found[engine] = done.stdout
    assert len(set(found.values())) == 2
