"""Recordings to extract, and what comes of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.embed.audio_input import DEFAULT_SPEECH

from .extraction import MODEL, Command, write_list


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
def expected(rtfbench: Command, scp: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the result of an undisturbed run with one worker."""
    result = tmp_path_factory.mktemp("expected") / "e.txt"
    done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--result", result)
    assert done.returncode == 0, done.stderr
    assert not list(result.parent.glob("*.part*"))
    return result.read_text()
