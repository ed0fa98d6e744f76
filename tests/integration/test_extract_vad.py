"""`extract --vad`: silence changes nothing, and what is kept is told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.embed.scoring import cosine

from .extraction import MODEL, Command, write_list

RATE = 16000
#: So much nearer, at least, to the speech alone.
GAIN = 0.2


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write speech, the same between seconds of faint hiss, and the hiss alone."""
    folder = tmp_path_factory.mktemp("vad")
    speech, _ = soundfile.read(DEFAULT_SPEECH / "weather_en_us_f.flac", dtype="int16")
    silence = np.random.default_rng(0).integers(-2, 3, 3 * RATE).astype(np.int16)
    paths = []
    for name, parts in {"plain": [speech], "among": [silence, speech, silence]}.items():
        paths.append(folder / f"{name}.wav")
        soundfile.write(paths[-1], np.concatenate(parts), RATE)
    paths.append(folder / "faint.wav")
    soundfile.write(paths[-1], silence, RATE)
    return write_list(folder / "wav.scp", paths)


@pytest.mark.parametrize("batch", [1, 4])
def test_silence_is_left_out(rtfbench: Command, listed: Path, tmp_path: Path, batch: int) -> None:
    """Speech among silence is embedded like the speech alone; a file of hiss is one failure."""
    said = {}
    for vad in ("", "energy"):
        options = ("--vad", vad, "--batch", batch, "--verbose", "--result", tmp_path / f"{vad}.npz")
        done = rtfbench("extract", "--wav-scp", listed, *MODEL, *options)
        assert done.returncode == (1 if vad else 0), done.stderr
        said[vad] = done.stderr
    without, found = (dict(read_embeddings(tmp_path / f"{vad}.npz")) for vad in ("", "energy"))
    assert sorted(found) == ["u0", "u1"]
    # Kaldi's level follows the recording's own, so that the speech alone keeps other frames.
    assert cosine(found["u0"], found["u1"]) > cosine(without["u0"], without["u1"]) + GAIN
    assert "% of the frames are speech" in said["energy"]
    assert "% of the frames" not in said[""]
    assert "faint.wav: no frame is speech, says --vad; leave it out" in said["energy"]


def test_a_result_is_of_one_detector(rtfbench: Command, listed: Path, tmp_path: Path) -> None:
    """What was begun without is not gone on with; what does not exist is refused."""
    arguments = ("extract", "--wav-scp", listed, *MODEL, "--result", tmp_path / "e.txt")
    assert rtfbench(*arguments).returncode == 0
    done = rtfbench(*arguments, "--resume", "--vad", "energy")
    assert done.returncode == 2
    assert "voice activity detection none, not energy" in done.stderr
    done = rtfbench(*arguments, "--overwrite", "--vad", "webrtc")
    assert done.returncode == 2
    assert "--vad no voice activity detector 'webrtc'" in done.stderr
