"""Reading and finding audio: what is accepted, and that every refusal names its cure."""

import pickle
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from rtfbench.frontends.audio import AudioError, Waveform, read_audio, read_blocks

RATE_HZ = 16000


def write(
    path: Path, *, seconds: float = 0.1, channels: int = 1, rate_hz: int = RATE_HZ, **options: Any
) -> npt.NDArray[np.int16]:
    """Write noise to a file and return it, int16[N, channels]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    shape = (int(seconds * rate_hz), channels)
    samples = rng.integers(-32768, 32768, shape).astype(np.int16)
    soundfile.write(path, samples, rate_hz, **options)
    return samples


def refusal(path: Path, **options: Any) -> str:
    """Read a file that is refused; return the message, which must be a line about it."""
    with pytest.raises(AudioError) as caught:
        read_audio(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", ["wav", "flac", "aiff", "au", "caf", "w64"])
def test_lossless_formats_are_exact(tmp_path: Path, ending: str) -> None:
    """Samples are the file's 16-bit integers as float32, whatever the container."""
    path = tmp_path / f"a.{ending}"
    written = write(path, subtype="PCM_16")
    waveform = read_audio(path)
    assert waveform.sample_rate_hz == RATE_HZ
    assert waveform.samples.dtype == np.float32
    np.testing.assert_array_equal(waveform.samples, written[:, 0])


@pytest.mark.parametrize("ending", ["ogg", "opus", "mp3"])
def test_lossy_formats_are_read(tmp_path: Path, ending: str) -> None:
    """Compressed audio comes at the right scale and length."""
    path = tmp_path / f"a.{ending}"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    options = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
    soundfile.write(path, tone, RATE_HZ, **options)
    with soundfile.SoundFile(path) as file:
        resample = file.samplerate != RATE_HZ
    samples = read_audio(path, resample=resample).samples
    assert abs(len(samples) - RATE_HZ) < RATE_HZ // 5
    assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.5 * 32768, rel=0.1)


def test_an_ogg_file_is_whole_or_none(tmp_path: Path) -> None:
    """Decoders leave a damaged page out, and the recording would be a shorter one."""
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE_HZ), RATE_HZ)
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(AudioError):
            read_audio(path)
    for damaged in (whole[:-1], whole[: len(whole) // 2]):
        with pytest.raises(AudioError, match=r"last page is missing; copy it again"):
            list(read_blocks(path, file=BytesIO(damaged)))
    path.write_bytes(whole + b"a tag of somebody's")
    assert len(read_audio(path).samples) == 3 * RATE_HZ


def test_float_files_are_scaled(tmp_path: Path) -> None:
    """Full scale of a float file is full scale of int16."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.5, -1.0, 0.0]), RATE_HZ, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path).samples, [16384, -32768, 0])


def test_channels_must_be_chosen(tmp_path: Path) -> None:
    """Stereo is refused until a channel is named, and then that one comes, contiguous."""
    path = tmp_path / "a.wav"
    written = write(path, channels=2)
    assert "2 channels; choose one with --channel 0 to 1" in refusal(path)
    for channel in (0, 1):
        samples = read_audio(path, channel=channel).samples
        np.testing.assert_array_equal(samples, written[:, channel])
        assert samples.flags.c_contiguous


@pytest.mark.parametrize(("channels", "channel"), [(1, 1), (2, 2), (2, -1)])
def test_channel_out_of_range(tmp_path: Path, channels: int, channel: int) -> None:
    """A channel that is not there is refused with those that are."""
    write(tmp_path / "a.wav", channels=channels)
    message = refusal(tmp_path / "a.wav", channel=channel)
    assert f"no channel {channel}" in message
    assert "--channel" in message


def test_mono_may_name_its_channel(tmp_path: Path) -> None:
    """Channel 0 of a mono file is the file."""
    written = write(tmp_path / "a.wav")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", channel=0).samples, written[:, 0])


def test_wrong_rate_is_refused_or_resampled(tmp_path: Path) -> None:
    """Another rate is refused with the switch that converts it, which keeps the tone."""
    path = tmp_path / "a.wav"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    soundfile.write(path, tone, 44100)
    assert "44100 Hz, not 16000; convert it with --resample" in refusal(path)
    waveform = read_audio(path, resample=True)
    assert waveform.sample_rate_hz == RATE_HZ
    assert len(waveform.samples) == RATE_HZ
    assert np.abs(np.fft.rfft(waveform.samples)).argmax() == 440
    assert waveform.samples.max() == pytest.approx(16384, rel=0.01)
    assert read_audio(path, sample_rate_hz=44100).sample_rate_hz == 44100


def test_missing_soxr_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without soxr the error says what to install; the right rate never needs it."""
    monkeypatch.setitem(sys.modules, "soxr", None)
    write(tmp_path / "a.wav", rate_hz=8000)
    assert "pip install rtfbench[resample]" in refusal(tmp_path / "a.wav", resample=True)
    write(tmp_path / "b.wav")
    read_audio(tmp_path / "b.wav", resample=True)


def test_missing_folder_and_foreign_files(tmp_path: Path) -> None:
    """What is not an audio file is refused for what it is."""
    assert "does not exist" in refusal(tmp_path / "none.wav")
    assert "is a folder" in refusal(tmp_path)
    for name, content in (("a.wav", b"hello\nworld"), ("b.wav", b""), ("c.raw", b"\0" * 64)):
        (tmp_path / name).write_bytes(content)
        assert "cannot be read as audio" in refusal(tmp_path / name)
    assert "it is empty" in refusal(tmp_path / "b.wav")
    # Of such a file, libsndfile says that it does not exist.
    (tmp_path / "d.mp3").write_bytes(bytes(range(256)) * 80)
    assert "does not exist" not in refusal(tmp_path / "d.mp3")


def test_no_samples(tmp_path: Path) -> None:
    """A header without audio is refused."""
    write(tmp_path / "a.wav", seconds=0)
    assert "no samples" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    """NaN and infinity are refused before they reach a model."""
    soundfile.write(tmp_path / "a.wav", np.array([0.0, bad]), RATE_HZ, subtype="FLOAT")
    assert "NaN or infinite" in refusal(tmp_path / "a.wav")


def test_error_survives_pickling() -> None:
    """An error can cross a process boundary."""
    assert str(pickle.loads(pickle.dumps(AudioError("a.wav: broken")))) == "a.wav: broken"


def test_waveform_duration_is_in_nanoseconds() -> None:
    """Duration is samples over rate, rounded down."""
    assert Waveform(np.zeros(32000, np.float32), RATE_HZ).duration_ns == 2_000_000_000
    assert Waveform(np.zeros(1, np.float32), 44100).duration_ns == 22_675


@pytest.mark.parametrize(
    ("samples", "rate_hz", "message"),
    [
        (np.zeros(4), RATE_HZ, r"float32\[N\]"),
        (np.zeros((4, 1), np.float32), RATE_HZ, r"float32\[N\]"),
        (np.zeros(4, np.float32), 0, "sample_rate_hz"),
    ],
)
def test_waveform_is_validated(samples: npt.NDArray[Any], rate_hz: int, message: str) -> None:
    """A waveform of the wrong type, shape or rate cannot be made."""
    with pytest.raises(ValueError, match=message):
        Waveform(samples, rate_hz)


@pytest.mark.parametrize("block_samples", [1, 999, 1600, 10_000])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_blocks_are_the_whole(tmp_path: Path, ending: str, block_samples: int) -> None:
    """Blocks of any size, put together, are what is read at once.

    To the last bit, but for MP3, whose decoder is set anew for every block: a tenth of a step.
    """
    path = tmp_path / f"a.{ending}"
    write(path)
    blocks = list(read_blocks(path, block_samples=block_samples))
    assert all(len(block) == block_samples for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= block_samples
    tolerance = 0.1 if ending == "mp3" else 0
    np.testing.assert_allclose(
        np.concatenate(blocks), read_audio(path).samples, rtol=0, atol=tolerance
    )


def test_blocks_are_resampled_as_one(tmp_path: Path) -> None:
    """The conversion goes on from block to block: no seam, no sample more or less."""
    path = tmp_path / "a.wav"
    write(path, seconds=1, rate_hz=44100)
    blocks = list(read_blocks(path, resample=True, block_samples=5000))
    samples = np.concatenate(blocks)
    assert len(samples) == RATE_HZ
    np.testing.assert_allclose(samples, read_audio(path, resample=True).samples, atol=1e-2)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    """A copy that ended half way is refused and never taken for a shorter recording."""
    path = tmp_path / f"a.{ending}"
    write(path, seconds=5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = refusal(path)
    assert "cut off" in message or "cannot be read as audio" in message


@pytest.mark.parametrize("placeholder", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_length_that_was_never_written_is_no_error(tmp_path: Path, placeholder: int) -> None:
    """Programs that write to a pipe cannot know the length; what is there is read."""
    path = tmp_path / "a.wav"
    written = write(path, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = placeholder.to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path).samples, written[:, 0])
