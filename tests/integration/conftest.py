"""Recordings to extract, and what comes of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench import load_run
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from tests.conftest import Once
from tests.tiny_onnx import write_tiny

from .extraction import MODEL, Command, write_list

TmpFactory = pytest.TempPathFactory


@pytest.fixture(scope="session")
def model(once: Once) -> Path:
    """Return a small model: as it is one file, it is read, converted and run for reference once."""
    return once("model", lambda folder: write_tiny(folder / "tiny.onnx")) / "tiny.onnx"


#: All engines under both protocols, and what else a row may differ in: size and threads.
SWEPT = """
models = ["xvec"]
budget_s = 1.5
sessions = 1

[[sweep]]
protocols = ["published", "steady"]

[[sweep]]
engines = ["onnxruntime", "mnn"]
protocols = ["steady"]
chunk_samples = [16000]
ghost = false

[[sweep]]
engines = ["onnxruntime", "mnn"]
protocols = ["steady"]
threads = [2]
ghost = false
"""


@pytest.fixture(scope="session")
def swept(once: Once, rtfbench: Command, short_speech: Path, tmp_path_factory: TmpFactory) -> Path:
    """Return a finished run of the smallest model, for whoever changes nothing in it."""
    plan = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan.write_text(SWEPT)

    def run(folder: Path) -> None:
        done = rtfbench("run", plan, "--audio", short_speech, "--out", folder)
        assert done.returncode == 0, done.stderr

    return once("swept", run)


@pytest.fixture(scope="session")
def six_sessions(once: Once, rtfbench: Command, short_speech: Path) -> Path:
    """Return a finished run of two engines in six sessions, for whoever changes nothing in it."""

    def run(folder: Path) -> None:
        # Beside other tests, blocks may take so long that six sessions, or an interval, do not fit.
        for budget_s in (2, 6, 18):
            done = rtfbench(
                *("run", "--model", "xvec", "--engine", "onnxruntime", "--engine", "mnn"),
                *("--protocol", "steady", "--audio", short_speech, "--budget", budget_s),
                *("--out", folder, "--overwrite"),
            )
            assert done.returncode == 0, done.stderr
            summary = load_run(folder).summary
            ghosts = summary.noise.ghosts if summary.noise else ()
            told = [each.ci95 for each in summary.ratios] + [each.ci95 for each in ghosts]
            records = (folder / "records.jsonl").read_text().splitlines()
            course = next(line for line in map(json.loads, records) if line["kind"] == "course")
            if course["looks"][0] == 6 and all(told):
                break

    return once("six-sessions", run)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cut the package's speech into forty recordings of 0.3 to 3 s, as 16-bit WAV."""
    folder = tmp_path_factory.mktemp("recordings")
    speech = np.concatenate(
        [soundfile.read(path, dtype="int16")[0] for path in sorted(DEFAULT_SPEECH.glob("*.flac"))]
    )
    rng = np.random.default_rng(4)
    paths = []
    for number in range(40):
        length = int(rng.integers(4800, 48000))
        start = int(rng.integers(0, len(speech) - length))
        paths.append(folder / f"rec {number:02}.wav")
        soundfile.write(paths[-1], speech[start : start + length], 16000)
    return paths


@pytest.fixture(scope="session")
def scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the list of all recordings."""
    return write_list(tmp_path_factory.mktemp("list") / "wav.scp", recordings)


@pytest.fixture(scope="session")
def expected(rtfbench: Command, scp: Path, once: Once) -> str:
    """Return the result of an undisturbed run with one worker."""

    def run(folder: Path) -> None:
        done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--result", folder / "e.txt")
        assert done.returncode == 0, done.stderr
        assert not list(folder.glob("*.part*"))

    return (once("expected", run) / "e.txt").read_text()
