"""The features of WeSpeaker's C++ front end come out of ours."""

from pathlib import Path

import numpy as np
import pytest

from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import ChunkPolicy
from rtfbench.frontends.fbank import Fbank

HERE = Path(__file__).parent
NAMES = ("exact_2s", "short_1s", "two_chunks_5s", "long_a", "long_b")


def test_every_golden_recording_is_tested() -> None:
    """The list of names is that of the golden file and of the recordings."""
    with np.load(HERE / "wespeaker_runtime.npz") as golden:
        stored = {key.removeprefix("fbank_") for key in golden if key.startswith("fbank_")}
    assert stored == set(NAMES) == {path.stem for path in (HERE / "wav").glob("*.wav")}


@pytest.mark.parametrize("name", NAMES)
def test_fbank_equals_wespeaker(name: str) -> None:
    """Features agree with WeSpeaker's C++ front end to 1e-3."""
    with np.load(HERE / "wespeaker_runtime.npz") as golden:
        expected = golden[f"fbank_{name}"]
    features = Fbank()(read_audio(HERE / "wav" / f"{name}.wav").samples)
    assert features.shape == expected.shape
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "chunks_2s", "chunks_5s"),
    [
        ("exact_2s", 1, 1),
        ("short_1s", 1, 1),
        ("two_chunks_5s", 3, 2),
        ("long_a", 7, 3),
        ("long_b", 7, 3),
    ],
)
def test_chunk_counts_of_the_recordings(name: str, chunks_2s: int, chunks_5s: int) -> None:
    """The recordings exercise exact, short and filled-up chunks at both sizes."""
    waveform = read_audio(HERE / "wav" / f"{name}.wav")
    features = Fbank()(waveform.samples)
    for samples_per_chunk, expected in ((32000, chunks_2s), (80000, chunks_5s), (-1, 1)):
        policy = ChunkPolicy(samples_per_chunk)
        assert len(policy.cut(features)) == expected
        assert policy.num_chunks(len(waveform.samples)) == expected
