"""Audio files in, waveforms out: whole or in blocks and, on demand, resampled."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from rtfbench.frontends import containers
from rtfbench.frontends.addresses import Address, Place
from rtfbench.frontends.spectra import Float32Array

#: Other rates are damage, or would become gigabytes when they are converted.
LEAST_RATE_HZ, MOST_RATE_HZ = 1_000, 10_000_000
#: What is read at a time: ten seconds at 16 kHz.
BLOCK_SAMPLES = 160_000
#: Some headers of compressed files only estimate the length.
LENGTH_TOLERANCE = 0.01
#: So far may a segment reach behind the end of its recording, as in Kaldi.
OVERSHOOT_S = 0.5

#: Why a recording is refused whose name is no text.
NOT_TEXT = "its name is not UTF-8; rename it"

#: Converts a block of samples to another rate; True marks the last.
Converter = Callable[[Float32Array, bool], Float32Array]

_PLACEHOLDER_BYTES = 0x7FFF_0000
_INT16_SCALE = np.float32(32768)
_NS_PER_S = 1_000_000_000


class AudioError(ValueError):
    """Audio that cannot be used: one line with the file's name, the reason and the cure."""


@dataclass(frozen=True, eq=False)
class Waveform:
    """One channel of audio.

    Attributes:
        samples: float32[N] in int16 scale, -32768 to 32767, as Kaldi expects it.
        sample_rate_hz: Samples a second.
        file_rate_hz: Those of the file that it was read from; None where there was none.
    """

    samples: Float32Array
    sample_rate_hz: int
    file_rate_hz: int | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If samples are not float32[N] or the rate is not positive.
        """
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            shape = list(self.samples.shape)
            raise ValueError(f"need float32[N] samples, not {self.samples.dtype}{shape}")
        if self.sample_rate_hz <= 0:
            raise ValueError(f"sample_rate_hz must be positive, not {self.sample_rate_hz}")

    @property
    def duration_ns(self) -> int:
        """Length in nanoseconds, rounded down."""
        return len(self.samples) * _NS_PER_S // self.sample_rate_hz


def read_audio(
    path: str | os.PathLike[str] | Address,
    *,
    sample_rate_hz: int = 16000,
    channel: int | None = None,
    resample: bool = False,
) -> Waveform:
    """Read one channel of a file in any format that libsndfile knows.

    Args:
        path: The file.
        sample_rate_hz: The rate that the result must have.
        channel: Which channel to take, from 0; needed if there is more than one.
        resample: Convert a file of another rate (needs soxr) instead of refusing it.

    Returns:
        The waveform, at least one sample, every sample finite.

    Raises:
        AudioError: If the file is missing, is not audio, is empty or cut off, holds NaN or
            infinity, or has channels or a rate that were not asked for.
    """
    rates_hz: list[int] = []
    blocks = read_blocks(
        path,
        sample_rate_hz=sample_rate_hz,
        channel=channel,
        resample=resample,
        told_rate=rates_hz.append,
    )
    return Waveform(np.concatenate(list(blocks)), sample_rate_hz, *rates_hz)


def read_blocks(
    path: str | os.PathLike[str] | Address,
    *,
    sample_rate_hz: int = 16000,
    channel: int | None = None,
    resample: bool = False,
    block_samples: int = BLOCK_SAMPLES,
    file: IO[bytes] | None = None,
    begin_s: float = 0.0,
    end_s: float | None = None,
    told_rate: Callable[[int], None] | None = None,
) -> Iterator[Float32Array]:
    """Read what `read_audio` reads, a block at a time, so that any length fits into memory.

    Args:
        path: As for `read_audio`, like the other arguments.
        sample_rate_hz: The rate that the result must have.
        channel: Which channel to take, from 0.
        resample: Convert a file of another rate.
        block_samples: How many samples of the file a block holds.
        file: The file's content, where the path, or an address, only names it.
        begin_s: Where to begin, in seconds.
        end_s: Where to end; None for the end of the file. It may be `OVERSHOOT_S` behind that.
        told_rate: Is told the file's own rate before the first block comes.

    Yields:
        float32[N] in int16 scale, one block or more, none of them empty.

    Raises:
        AudioError: As `read_audio`, when the first block is taken or when the fault is met.
    """
    place = path if isinstance(path, Address) else Path(path)
    if not is_text(place):
        raise audio_error(printable(place), NOT_TEXT)
    source = _regular_file(place) if file is None else file
    try:
        with _opened(place, source) as audio:
            wanted = _cut(place, audio, begin_s, end_s)
            if told_rate is not None:
                told_rate(audio.samplerate)
            column = _pick_channel(place, audio.channels, channel)
            convert = _converter(place, audio.samplerate, sample_rate_hz, resample)
            yield from _blocks(place, audio, column, convert, block_samples, wanted)
    # A TypeError is soundfile's answer to headerless formats, which it guesses by the ending.
    except (soundfile.LibsndfileError, TypeError) as error:
        raise audio_error(place, f"cannot be read as audio ({_why_not(source, error)}") from error


def _why_not(source: Path | IO[bytes], error: Exception) -> str:
    """Say why a file is no audio, and the cure; libsndfile says of some that they are not there."""
    if isinstance(source, Path) and not source.stat().st_size:
        return "it is empty); record or copy it again"
    said = str(getattr(error, "error_string", error)).rstrip(".")
    why = "no format that is known" if "does not exist" in said else said
    return f"{why}); convert it, for example with: ffmpeg -i INPUT OUTPUT.wav"


@contextmanager
def _opened(place: Place, source: Path | IO[bytes]) -> Iterator[soundfile.SoundFile]:
    """Open a file that is whole; the length of a WAV file that tells none is filled in."""
    with ExitStack() as opened:
        audio = opened.enter_context(soundfile.SoundFile(source))
        if audio.format == "OGG":
            lack = (
                containers.damage(source)
                if isinstance(source, Path)
                else containers.damage_in(source)
            )
            if lack:
                raise audio_error(place, f"{lack}; copy it again")
        if audio.format in ("WAV", "WAVEX") and not audio.frames:
            raw = opened.enter_context(source.open("rb")) if isinstance(source, Path) else source
            if (whole := containers.completed(raw)) is not None:
                audio = opened.enter_context(soundfile.SoundFile(whole))
        yield audio


def _cut(path: Place, file: soundfile.SoundFile, begin_s: float, end_s: float | None) -> int | None:
    """Go to where a stretch begins; return how many samples it has, None for all that follow."""
    first = round(begin_s * file.samplerate)
    if first:
        if first >= file.frames:
            length_s = file.frames / file.samplerate
            raise audio_error(
                path, f"ends at {length_s:g} s, before the segment begins ({begin_s:g} s)"
            )
        file.seek(first)
    return None if end_s is None else max(round(end_s * file.samplerate) - first, 1)


def _blocks(
    path: Place,
    file: soundfile.SoundFile,
    column: int,
    convert: Converter | None,
    block_samples: int,
    wanted: int | None,
) -> Iterator[Float32Array]:
    rate_hz, promised = file.samplerate, _promised_frames(file) - file.tell()
    read = made = 0
    if wanted is not None:
        if promised < wanted - round(OVERSHOOT_S * rate_hz):
            early_s = (wanted - promised) / rate_hz
            raise audio_error(path, f"ends {early_s:g} s before the segment does; correct its end")
        promised = min(promised, wanted)
    while True:
        asked = block_samples if wanted is None else min(block_samples, wanted - read)
        samples = file.read(asked, dtype="float32", always_2d=True)[:, column]
        read += len(samples)
        last = len(samples) < asked or read == wanted
        if not np.isfinite(samples).all():
            raise audio_error(path, "holds NaN or infinite samples; export it again as 16-bit PCM")
        if last and not read:
            raise audio_error(path, "holds no samples; record or export it again")
        if last and read < (1 - LENGTH_TOLERANCE) * promised:
            raise audio_error(path, f"is cut off after {read} of {promised} samples; copy it again")
        if convert is not None:
            samples = convert(samples, last)
        if len(samples):
            made += len(samples)
            yield samples * _INT16_SCALE
        if last:
            break
    if not made:
        raise audio_error(
            path, f"is too short to resample from {rate_hz} Hz; use a longer recording"
        )


def raised(count: int, lowest_hz: int, sample_rate_hz: int) -> str:
    """Say that recordings were raised to a higher rate, which adds nothing to hear."""
    recordings = "1 recording was" if count == 1 else f"{count} recordings were"
    return (
        f"{recordings} raised from {lowest_hz} to {sample_rate_hz} Hz: nothing is above "
        f"{lowest_hz // 2} Hz there, which the model was not made for; one for {lowest_hz} Hz is"
    )


def _regular_file(path: Place) -> Path:
    """Return a path, once it is that of a regular file: others are not to be opened.

    Raises:
        AudioError: if it is not, or if there is no such file.
    """
    path = on_disk(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise audio_error(path, f"cannot be read ({reason}); check the path") from error
    if stat.S_ISDIR(mode):
        raise audio_error(path, "is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        # To open a FIFO waits until someone writes to it, which may be never.
        raise audio_error(path, "is no regular file; write the audio to one and name that")
    return path


def on_disk(place: Place) -> Path:
    """Return a path.

    Raises:
        AudioError: It is an address.
    """
    if isinstance(place, Address):
        raise audio_error(place, "is at an address, which extract alone reads; copy it here")
    return place


def is_text(path: Place) -> bool:
    """Say whether a name is UTF-8, as results and messages between processes need it."""
    return printable(path) == str(path)


def printable(path: Place) -> str:
    """Return a path whose bytes that are no UTF-8 are written as escapes."""
    return str(path).encode(errors="backslashreplace").decode()


def audio_error(place: Place | str, problem: str) -> AudioError:
    """Return an error about a file, in one line."""
    return AudioError(" ".join(f"{place}: {problem}".split()))


def _pick_channel(path: Place, num_channels: int, channel: int | None) -> int:
    last = num_channels - 1
    if channel is None and num_channels > 1:
        raise audio_error(
            path, f"has {num_channels} channels; choose one with --channel 0 to {last}"
        )
    channel = channel or 0
    if not 0 <= channel <= last:
        cure = f"choose --channel 0 to {last}" if last else "leave --channel out"
        raise audio_error(path, f"has no channel {channel} (channels: {num_channels}); {cure}")
    return channel


def _converter(path: Place, from_hz: int, to_hz: int, resample: bool) -> Converter | None:
    """Return what converts one block after the other; None where nothing is to be converted."""
    if not LEAST_RATE_HZ <= from_hz <= MOST_RATE_HZ:
        raise audio_error(path, f"has {from_hz} Hz, as no speech has; export it again")
    if from_hz == to_hz:
        return None
    if not resample:
        raise audio_error(path, f"has {from_hz} Hz, not {to_hz}; convert it with --resample")
    try:
        import soxr
    except ImportError as error:
        cure = "install it with: pip install rtfbench[resample]"
        raise audio_error(path, f"has {from_hz} Hz and resampling needs soxr; {cure}") from error
    convert: Converter = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32").resample_chunk
    return convert


def _promised_frames(file: soundfile.SoundFile) -> int:
    """Return how many frames the file's header says it holds.

    libsndfile corrects the length of a WAV file that is too short and tells so in its log only.
    Programs that write to a pipe leave a placeholder near 2 or 4 GiB, which promises nothing.
    """
    log = re.search(r"^data : (\d+) \(should be \d+\)$", file.extra_info, re.MULTILINE)
    align = re.search(r"Block Align +: (\d+)$", file.extra_info, re.MULTILINE)
    if log and align and 0 < int(log[1]) < _PLACEHOLDER_BYTES:
        return int(log[1]) // max(int(align[1]), 1)
    return int(file.frames)
