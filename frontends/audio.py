"""Audio files in, waveforms out: finding, reading and, on demand, resampling."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

# File name endings that are taken from a folder. A file named by itself may have any.
# fmt: off
AUDIO_ENDINGS = frozenset({
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist",
    ".oga", ".ogg", ".opus", ".rf64", ".snd", ".sph", ".w64", ".wav",
})
# fmt: on

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
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int

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


@dataclass(frozen=True)
class Utterance:
    """A name, unique among those found together, and the file behind it."""

    name: str
    path: Path


def read_audio(
    path: str | os.PathLike[str],
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
        AudioError: If the file is missing, is not audio, is empty, holds NaN or infinity,
            or has channels or a rate that were not asked for.
    """
    path = Path(path)
    if path.is_dir():
        raise _error(path, "is a folder; name a file in it")
    if not path.exists():
        raise _error(path, "does not exist; check the path")
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, column = file.samplerate, _pick_channel(path, file.channels, channel)
            if rate_hz != sample_rate_hz and not resample:
                raise _error(
                    path, f"has {rate_hz} Hz, not {sample_rate_hz}; convert it with --resample"
                )
            samples = file.read(dtype="float32", always_2d=True)[:, column]
    # A TypeError is soundfile's answer to headerless formats, which it guesses by the ending.
    except (soundfile.LibsndfileError, TypeError) as error:
        cure = "convert it, for example with: ffmpeg -i INPUT OUTPUT.wav"
        raise _error(path, f"cannot be read as audio ({error}); {cure}") from error
    if not len(samples):
        raise _error(path, "holds no samples; record or export it again")
    if not np.isfinite(samples).all():
        raise _error(path, "holds NaN or infinite samples; export it again as 16-bit PCM")
    if rate_hz != sample_rate_hz:
        samples = _resample(path, samples, rate_hz, sample_rate_hz)
    return Waveform(samples * _INT16_SCALE, sample_rate_hz)


def find_audio(paths: Iterable[str | os.PathLike[str]]) -> tuple[Utterance, ...]:
    """Turn what a user names into utterances, in a repeatable order.

    A folder stands for the audio files in it, at any depth and sorted, a Kaldi `wav.scp`
    (any file that ends in .scp) for its entries, any other file for itself. A file is
    named by its stem; files that share a stem are named by their path in the folder,
    and if that is not enough by their path as given.

    Raises:
        AudioError: If a path is missing, a folder or list holds no audio, a list is
            malformed, or two utterances end up with the same name.
    """
    found = [candidate for path in paths for candidate in _expand(Path(path))]
    level = [0] * len(found)
    for _ in range(2):
        count = Counter(names[i] for (names, _), i in zip(found, level, strict=True))
        for index, (names, _) in enumerate(found):
            level[index] += count[names[level[index]]] > 1
    utterances = [Utterance(names[i], path) for (names, path), i in zip(found, level, strict=True)]
    for name, times in Counter(utterance.name for utterance in utterances).items():
        if times > 1:
            path = next(each.path for each in utterances if each.name == name)
            raise _error(path, f"is one of {times} utterances named {name!r}; name each once")
    return tuple(utterances)


def _error(path: Path, problem: str) -> AudioError:
    return AudioError(" ".join(f"{path}: {problem}".split()))


def _pick_channel(path: Path, num_channels: int, channel: int | None) -> int:
    last = num_channels - 1
    if channel is None and num_channels > 1:
        raise _error(path, f"has {num_channels} channels; choose one with --channel 0 to {last}")
    channel = channel or 0
    if not 0 <= channel <= last:
        cure = f"choose --channel 0 to {last}" if last else "leave --channel out"
        raise _error(path, f"has no channel {channel} (channels: {num_channels}); {cure}")
    return channel


def _resample(
    path: Path, samples: npt.NDArray[np.float32], from_hz: int, to_hz: int
) -> npt.NDArray[np.float32]:
    try:
        import soxr
    except ImportError as error:
        cure = "install it with: pip install rtfbench[resample]"
        raise _error(path, f"has {from_hz} Hz and resampling needs soxr; {cure}") from error
    resampled: npt.NDArray[np.float32] = soxr.resample(samples, from_hz, to_hz)
    if not len(resampled):
        raise _error(path, f"is too short to resample from {from_hz} Hz; use a longer recording")
    return resampled


def _expand(path: Path) -> Iterator[tuple[tuple[str, str, str], Path]]:
    """Yield (names from short to long, file) for everything that a path stands for."""
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if _looks_like_audio(each))
        if not files:
            raise _error(path, f"holds no audio; looked for {' '.join(sorted(AUDIO_ENDINGS))}")
        for file in files:
            yield (file.stem, file.relative_to(path).as_posix(), file.as_posix()), file
    elif not path.exists():
        raise _error(path, "does not exist; check the path")
    elif path.suffix.lower() == ".scp":
        for name, file in _read_scp(path).items():
            yield (name, name, name), file  # the list's names are not ours to change
    else:
        yield (path.stem, path.name, path.as_posix()), path


def _looks_like_audio(path: Path) -> bool:
    # Some systems leave hidden files such as ._a.wav beside the real ones.
    return path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".") and path.is_file()


def _read_scp(scp: Path) -> dict[str, Path]:
    """Read a Kaldi list of `utterance path` lines."""
    try:
        lines = scp.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise _error(scp, "is not UTF-8 text; save it as UTF-8") from error
    files: dict[str, Path] = {}
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *others = line.strip().split(maxsplit=1)
        rest = others[0] if others else ""
        if not rest:
            raise _error(scp, f"line {number} has no path; write: UTTERANCE PATH")
        if rest.endswith("|"):
            reason = "is a command, and commands are not run here"
            raise _error(scp, f"line {number} {reason}; write its output to a file and name that")
        if name in files:
            earlier = line_of[name]
            raise _error(scp, f"lines {earlier} and {number} are both {name!r}; rename one")
        file = Path(rest)
        # As in Kaldi first from here, then beside the list. A file that is in neither place is
        # an error when it is read, so that it costs its own utterance only.
        if not file.exists() and (scp.parent / file).exists():
            file = scp.parent / file
        files[name], line_of[name] = file, number
    if not files:
        raise _error(scp, "names no audio; write lines: UTTERANCE PATH")
    return files
