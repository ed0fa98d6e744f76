"""`extract` at scale: memory stays bounded on long lists and long recordings."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.embed.embeddings import read_embeddings

MODEL = ("--model", "xvec", "--weights", "seeded", "--engine", "null")
MB = 1_000_000
# The peak of a process and of all that it waited for, whichever was largest.
MEASURE = (
    "import resource, subprocess, sys\n"
    "status = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode\n"
    "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
)


def peak_rss_bytes(*arguments: object) -> int:
    """Run the command line; return the largest resident size of parent and workers."""
    command = [sys.executable, "-m", "rtfbench.commands", "extract", *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        capture_output=True,
        text=True,
        env=os.environ,
        check=True,
    )
    status, peak = map(int, done.stdout.split())
    assert status == 0
    return peak


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recording of three frames, the fewest that are taken, and have the model made."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.wav"
    noise = np.random.default_rng(0).integers(-3000, 3000, 720)
    soundfile.write(path, noise.astype(np.int16), 16000)
    peak_rss_bytes("--wav", path, *MODEL, "--result", path.with_suffix(".txt"))
    return path


@pytest.mark.parametrize("most", [3000, pytest.param(10_000, marks=pytest.mark.deep)])
@pytest.mark.parametrize("ending", ["txt", "npz"])
def test_memory_does_not_grow_with_the_list(
    tiny: Path, tmp_path: Path, ending: str, most: int
) -> None:
    """Thousands of entries take at most 2 MB more than five hundred, results included.

    An embedding alone has 2 kB, so that three thousand tell whether any are kept.
    """
    peaks = []
    for count in (500, most):
        scp = tmp_path / f"{count}.scp"
        scp.write_text("".join(f"utterance-{i:06} {tiny}\n" for i in range(count)))
        result = tmp_path / f"{count}.{ending}"
        peaks.append(peak_rss_bytes("--wav-scp", scp, *MODEL, "--jobs", 2, "--result", result))
        if ending == "txt":
            assert result.read_bytes().count(b"\n") == count
    assert peaks[1] - peaks[0] <= 2 * MB, [peak / MB for peak in peaks]


def test_an_hour_takes_no_more_memory_than_ten_seconds(tiny: Path, tmp_path: Path) -> None:
    """In chunks of two seconds an hour needs at most 25 MB more, much of it for 1800 embeddings."""
    rng = np.random.default_rng(6)
    peaks = []
    for seconds in (10, 3600):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 16000, 1) as file:
            for _ in range(seconds // 10):
                file.write(rng.integers(-3000, 3000, 160_000).astype(np.int16))
        result = tmp_path / f"{seconds}.txt"
        peaks.append(peak_rss_bytes("--wav", path, *MODEL, "--result", result))
        assert [name for name, _ in read_embeddings(result)] == [f"{seconds}"]
    assert peaks[1] - peaks[0] <= 25 * MB, [peak / MB for peak in peaks]
