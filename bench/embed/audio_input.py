"""The utterances of a run: what the user names, or the speech that comes with the package."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rtfbench.base.files import followed
from rtfbench.base.values import Value
from rtfbench.frontends.audio import AudioError, Waveform, audio_error, on_disk, raised, read_audio
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.inputs.find import find_audio

DEFAULT_SPEECH = Path(__file__).parent / "speech"


#: So many windows of the recordings are taken at most.
MOST_WINDOWS = 100


class Source(Value):
    """An utterance's name and file, and how the file is to be read.

    It may be a part of the file, from one second to another.
    """

    name: str
    path: Path
    channel: int | None = None
    resample: bool = False
    begin_s: float = 0.0
    end_s: float | None = None


class CheckedSources(NamedTuple):
    """Utterances that can be used, their summed duration, and why others cannot.

    `sha256` is of their names and samples, as they were decoded; empty where there are none.
    """

    sources: tuple[Source, ...]
    audio_s: float
    errors: tuple[str, ...]
    sha256: str = ""
    #: What a user is told of those that can be used.
    notes: tuple[str, ...] = ()


NOTHING = CheckedSources((), 0.0, ())


def read_source(source: Source, sample_rate_hz: int = WESPEAKER.sample_rate_hz) -> Waveform:
    """Read an utterance at the rate that a model needs.

    Raises:
        AudioError: the file cannot be used as it is.
    """
    found = read_audio(
        source.path, sample_rate_hz=sample_rate_hz, channel=source.channel, resample=source.resample
    )
    if source.end_s is None:
        return found
    begin, end = (round(second * sample_rate_hz) for second in (source.begin_s, source.end_s))
    return replace(found, samples=found.samples[begin:end])


def files_in(paths: Sequence[Path]) -> list[Path]:
    """Return the file of each utterance that the user names.

    Raises:
        AudioError: a list or folder holds none, or they are not on this disk.
    """
    return [on_disk(utterance.path) for utterance in find_audio(paths)]


def check_audio(
    paths: Sequence[Path],
    *,
    channel: int | None = None,
    resample: bool = False,
    front_end: FrontEnd = WESPEAKER,
    windows: tuple[float, float] | None = None,
) -> CheckedSources:
    """Find and read every utterance once; one that cannot be used is an error, not the end.

    Args:
        paths: files, folders or Kaldi `wav.scp` lists; none takes the package's own speech.
        channel: which channel of a recording with several, from 0.
        resample: whether another sample rate is converted; the package's own speech always is.
        front_end: of the models, which says what rate and how many samples are needed.
        windows: seconds of a window, and from one to the next, where each is an utterance in place
            of the recording that it is of.
    """
    resample = resample or not paths
    sources: list[Source] = []
    known: set[str] = set()
    errors: list[str] = []
    rate_hz, low_hz = front_end.sample_rate_hz, list[int]()
    seconds = 0.0
    digest = hashlib.sha256()
    for path in paths or (DEFAULT_SPEECH,):
        try:
            found = find_audio([path])
        except AudioError as error:
            errors.append(str(error))
            continue
        for utterance in found:
            try:
                path = followed(on_disk(utterance.path))
                source = Source(name=utterance.name, path=path, channel=channel, resample=resample)
                if source.name in known:
                    cure = "name their folder instead, or rename one"
                    raise audio_error(path, f"another recording has this name; {cure}")
                waveform = read_source(source, rate_hz)
                count, least = len(waveform.samples), front_end.least_samples
                if not front_end.num_frames(count):
                    told = f"too short for one frame; it has {count} samples and needs {least}"
                    raise audio_error(path, told)
            except AudioError as error:
                errors.append(f"utterance {utterance.name}: {error}")
                continue
            if (waveform.file_rate_hz or rate_hz) < rate_hz:
                low_hz.append(waveform.file_rate_hz or rate_hz)
            known.add(source.name)
            digest.update(f"{source.name} {count} ".encode())
            digest.update(waveform.samples.tobytes())
            if windows is None:
                sources.append(source)
                seconds += waveform.duration_ns / 1e9
                continue
            digest.update(f"{windows}".encode())
            some = list(_windows(source, waveform.duration_ns / 1e9, *windows))
            sources += some[: MOST_WINDOWS - len(sources)]
            seconds = len(sources) * windows[0]
    if windows is not None and known and not sources:
        errors.append(
            f"no recording is as long as a window of {windows[0]:g} s; name longer ones, or a "
            "shorter --window"
        )
    sha256 = digest.hexdigest() if sources else ""
    notes = (raised(len(low_hz), min(low_hz), rate_hz),) if low_hz else ()
    return CheckedSources(tuple(sources), seconds, tuple(errors), sha256, notes)


def _windows(source: Source, duration_s: float, window_s: float, hop_s: float) -> Iterator[Source]:
    """Yield the windows that lie wholly in a recording."""
    count = int((duration_s - window_s) / hop_s + 1e-9) + 1 if duration_s >= window_s else 0
    for begin_s in (each * hop_s for each in range(count)):
        window = {"name": f"{source.name}@{begin_s:g}", "begin_s": begin_s}
        yield source.model_copy(update=window | {"end_s": begin_s + window_s})


def shortest(count: int) -> tuple[Source, ...]:
    """Return the package's shortest utterances: for comparisons that have to be over soon."""
    sources = check_audio(()).sources
    return tuple(sorted(sources, key=lambda source: read_source(source).duration_ns)[:count])
