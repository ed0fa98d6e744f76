"""Which recordings a race runs: a few whose lengths stand for those of all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import read_text
from rtfbench.embed.audio_input import Source, check_audio, files_in, read_source
from rtfbench.frontends.audio import AudioError, is_text
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd

#: A race runs so many recordings at most, of so many seconds together, but not fewer than a few.
MOST_RECORDINGS, MOST_S, FEWEST_RECORDINGS = 24, 60.0, 3
#: Of a large collection, the lengths of so many are looked at.
MOST_LENGTHS = 2000


@dataclass(frozen=True)
class Recordings:
    """What is raced on.

    `num_samples` is the length of each at the model's rate, by name; `lengths` are those of all
    recordings that they stand for.
    """

    sources: tuple[Source, ...]
    num_samples: Mapping[str, int]
    lengths: tuple[int, ...]
    front_end: FrontEnd = WESPEAKER

    @property
    def audio_s(self) -> float:
        """How long those that are raced on last together."""
        return sum(self.num_samples.values()) / self.front_end.sample_rate_hz


def chosen(lengths: Sequence[int]) -> list[int]:
    """Return the places of recordings whose lengths are spread as those of all are (pure).

    Lengths are in samples at 16 kHz.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    fewest = min(FEWEST_RECORDINGS, len(order))
    for count in range(min(MOST_RECORDINGS, len(order)), fewest, -1):
        places = _spread(order, count)
        if sum(lengths[place] for place in places) <= MOST_S * SAMPLE_RATE_HZ:
            return places
    return _spread(order, fewest)


def _spread(order: Sequence[int], count: int) -> list[int]:
    """Return every so many-th of those that are ordered by length."""
    return [order[math.floor((place + 0.5) * len(order) / count)] for place in range(count)]


def from_audio(
    paths: Sequence[Path],
    front_end: FrontEnd = WESPEAKER,
    *,
    channel: int | None = None,
    resample: bool = False,
    windows: tuple[float, float] | None = None,
) -> Recordings:
    """Return recordings of the user's, or those of the package where no path is named.

    `windows` are seconds of a window, and from one to the next, where they are cut into such.

    Raises:
        InputError: one cannot be used; what is raced has to be what is meant.
    """
    if paths:
        with as_input(AudioError):
            found = files_in(paths)
            looked = found[:: math.ceil(len(found) / MOST_LENGTHS)]
            lengths = [_length(path) for path in looked]
        paths = [looked[place] for place in chosen(lengths)]
    checked = check_audio(
        paths, channel=channel, resample=resample, front_end=front_end, windows=windows
    )
    if checked.errors:
        raise InputError(checked.errors[0])
    rate_hz = front_end.sample_rate_hz
    num_samples = {
        source.name: round(windows[0] * rate_hz)
        if windows
        else len(read_source(source, rate_hz).samples)
        for source in checked.sources
    }
    known = tuple(num_samples.values())
    if paths and windows is None:
        known = tuple(length * rate_hz // SAMPLE_RATE_HZ for length in lengths)
    return Recordings(checked.sources, num_samples, known, front_end)


def from_lengths(path: Path, folder: Path, front_end: FrontEnd = WESPEAKER) -> Recordings:
    """Return recordings of the lengths of a list, cut from the package's speech into a folder.

    Raises:
        InputError: the list cannot be read, or holds what is no length.
    """
    lengths = read_lengths(path)
    speech = np.concatenate([read_source(each).samples for each in check_audio(()).sources])
    folder.mkdir(parents=True, exist_ok=True)
    sources, num_samples = [], {}
    for number, place in enumerate(chosen(lengths)):
        name = f"length-{number:02}"
        samples = np.resize(np.roll(speech, -number * SAMPLE_RATE_HZ), lengths[place])
        file = (folder / f"{name}.wav").resolve()
        soundfile.write(file, samples.astype(np.int16), SAMPLE_RATE_HZ, subtype="PCM_16")
        sources.append(Source(name=name, path=file, resample=True))
        num_samples[name] = lengths[place] * front_end.sample_rate_hz // SAMPLE_RATE_HZ
    known = tuple(length * front_end.sample_rate_hz // SAMPLE_RATE_HZ for length in lengths)
    return Recordings(tuple(sources), num_samples, known, front_end)


def read_lengths(path: Path) -> list[int]:
    """Return the lengths of a list in samples at 16 kHz.

    It has seconds on each line; of several columns, as in Kaldi's utt2dur, the last.

    Raises:
        InputError: it cannot be read, or holds what is no length.
    """
    try:
        lines = read_text(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise InputError(f"{path}: cannot read the lengths ({why})") from error
    least = WESPEAKER.frame_length
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            seconds = float(line.split()[-1])
        except ValueError:
            seconds = math.nan
        if not least <= seconds * SAMPLE_RATE_HZ < 24 * 3600 * SAMPLE_RATE_HZ:
            raise InputError(f"{path}:{number}: {line!r}: need a recording's length in seconds")
        found.append(round(seconds * SAMPLE_RATE_HZ))
    if not found:
        raise InputError(f"{path}: holds no length; write one in seconds on each line")
    return found


def _length(path: Path) -> int:
    """Return how long a file says that it is, in samples at 16 kHz; reading it comes later."""
    try:
        if not is_text(path) or not path.is_file():
            return SAMPLE_RATE_HZ
        info = soundfile.info(path)
    except (OSError, soundfile.SoundFileError):
        return SAMPLE_RATE_HZ
    return max(int(info.frames) * SAMPLE_RATE_HZ // int(info.samplerate), 1)
