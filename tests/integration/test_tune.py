"""`rtfbench tune` from end to end, and what it saves."""

import json
from pathlib import Path
from typing import Any

import pytest

from rtfbench.measure.plan import load_plan
from rtfbench.results.store import RunFolder

from .extraction import Command, names, write_list

#: Quarter-second chunks make the smallest model fast; one size leaves one heat out.
ASKED = ("--model", "xvec", "--weights", "seeded", "--chunk-samples", 4000)


def answer(folder: Path) -> dict[str, Any]:
    """Return what a tuning found."""
    found: dict[str, Any] = json.loads((folder / "tune.json").read_text())
    return found


def timed(folder: Path, cell: dict[str, Any]) -> int:
    """Return how many recordings a configuration was timed on."""
    return sum(
        len(record.utterance_ns) or 1
        for data in RunFolder(folder).originals().values()
        if data.cell.model_dump(mode="json") == cell
        for record in data.records
    )


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, rtfbench: Command) -> Path:
    """Race an engine that is wrong and one that crashes beside a good one."""
    folder = tmp_path_factory.mktemp("tune")
    engines = [("--engine", name) for name in ("onnxruntime", "faulty-wrong", "faulty-crash")]
    flat = [part for pair in engines for part in pair]
    options = ("--cores", 1, "--budget", 25, "--margin", 0.3, "--save", folder / "best.toml")
    done = rtfbench("tune", *ASKED, *flat, *options, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# XVEC on 1 core: onnxruntime")
    return folder


@pytest.mark.measures
def test_planted_engines_are_out(tuned: Path) -> None:
    """A wrong engine and one that crashes are out with their reasons, and a sound one is named."""
    found = answer(tuned / "run")
    whys = {entry["cell"]["engine"]: entry["why"] for entry in found["entries"]}
    assert whys["faulty-wrong"].startswith("wrong output: ")
    assert "SIGSEGV" in whys["faulty-crash"]
    assert found["named"]["cell"]["engine"] == "onnxruntime"
    # Of fewer than sixty recordings the 95th of a hundred is no figure, and none is told.
    enough = timed(tuned / "run", found["named"]["cell"]) >= 60
    assert (found["named"]["p95_ms"] is not None) == enough
    assert found["named"]["memory_mb"] > 10
    for name in ("tune.md", "race.png", "race.svg", "records.jsonl", "environment.json"):
        assert (tuned / "run" / name).stat().st_size, name


@pytest.mark.measures
def test_what_is_saved_extracts(
    tuned: Path, rtfbench: Command, recordings: list[Path], tmp_path: Path
) -> None:
    """`extract --config` takes engine, form, size, threads, jobs and batch from the file."""
    listed = write_list(tmp_path / "wav.scp", recordings[:2])
    config = ("--config", tuned / "best.toml")
    done = rtfbench("extract", "--wav-scp", listed, *config, "--result", tmp_path / "e.txt")
    assert done.returncode == 0, done.stderr
    assert names((tmp_path / "e.txt").read_text()) == ["u0", "u1"]
    kept = json.loads((tmp_path / "e.txt.json").read_text())
    cell = answer(tuned / "run")["named"]["cell"]
    assert (kept["engine"], kept["chunk_samples"]) == (cell["engine"], 4000)


@pytest.mark.measures
def test_what_is_saved_runs_again(tuned: Path, rtfbench: Command, tmp_path: Path) -> None:
    """The file is a plan of one row."""
    options = ("--weights", "seeded", "--budget", 0.1, "--sessions", 1)
    done = rtfbench("run", tuned / "best.toml", *options, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "r" / "summary.json").read_text())["cells"]
    assert (row["status"], row["protocol"], row["chunk_samples"]) == ("ok", "throughput", 4000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--goal", "streams"), "--goal streams: needs --latency-ms"),
        (("--cores", 10_000), "--cores 10000: this process may use"),
        (("--model", "resnet43"), "resnet34"),
        (("--engine", "onnxruntim"), "did you mean onnxruntime"),
        (("--lengths", "nothing.txt"), "nothing.txt: cannot read the lengths"),
        (("--audio", "nothing.wav"), "nothing.wav"),
        (("--trials", "nothing"), "nothing"),
    ],
)
def test_bad_input_is_one_line(
    rtfbench: Command, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    """What cannot be used is named with its cure, and nothing is measured."""
    asked = ("--model", "xvec", "--weights", "seeded") if "--model" not in arguments else ()
    done = rtfbench("tune", *asked, *arguments, "--out", tmp_path / "r")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r" / "records.jsonl").exists()


def test_a_file_that_is_there_stays(rtfbench: Command, tmp_path: Path) -> None:
    """--save replaces nothing without --overwrite, and never an input."""
    path = tmp_path / "best.toml"
    path.write_text("mine\n")
    done = rtfbench("tune", *ASKED, "--save", path, "--out", tmp_path / "r")
    assert (done.returncode, path.read_text()) == (2, "mine\n")
    assert "add --overwrite" in done.stderr
    lengths = ("--lengths", path, "--save", path, "--overwrite")
    done = rtfbench("tune", *ASKED, *lengths, "--out", tmp_path / "r")
    assert (done.returncode, path.read_text()) == (2, "mine\n")
    assert "is an input" in done.stderr


@pytest.mark.speed
@pytest.mark.measures
def test_a_server_is_tuned(rtfbench: Command, tmp_path: Path) -> None:
    """Requests arrive at the finalists, and what is saved is a plan that offers what is held."""
    done = rtfbench(
        *("tune", *ASKED, "--goal", "server", "--latency-ms", 5000, "--engine", "onnxruntime"),
        *("--cores", 1, "--chunk-samples", 32000, "--budget", 60, "--save", tmp_path / "best.toml"),
        *("--out", tmp_path / "run"),
    )
    found = answer(tmp_path / "run")
    assert done.returncode == (0 if found["named"] else 3), done.stderr
    assert found["load"]["latency_ms"] == 5000
    safe = found["safe"]
    assert (safe["cell"]["protocol"], safe["cell"]["batch"]) == ("server", 1)
    plan = load_plan(tmp_path / "best.toml", {})
    assert plan.protocols == ("server",)
    if safe["held"] is not None:
        (rate,) = plan.rates
        assert rate == pytest.approx(safe["held"], rel=0.01)
    assert "requests/s" in done.stdout
