"""The utterances of a run: what the user names, or the speech that comes with the package."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.base.links import followed
from bench.base.values import Value
from frontends.audio import AudioError, Waveform, on_disk, read_audio
from frontends.fbank import FbankConfig
from frontends.find import find_audio

DEFAULT_SPEECH = Path(__file__).parent / "speech"


class Source(Value):
    """An utterance's name and file, and how the file is to be read."""

    name: str
    path: Path
    channel: int | None = None
    resample: bool = False


class Checked(NamedTuple):
    """Utterances that can be used, their summed duration, and why others cannot.

    `sha256` is of their names and samples, as they were decoded; empty where there are none.
    """

    sources: tuple[Source, ...]
    audio_s: float
    errors: tuple[str, ...]
    sha256: str = ""


NOTHING = Checked((), 0.0, ())


def read_source(source: Source) -> Waveform:
    """Read an utterance.

    Raises:
        AudioError: the file cannot be used as it is.
    """
    return read_audio(source.path, channel=source.channel, resample=source.resample)


def check_audio(
    paths: Sequence[Path], *, channel: int | None = None, resample: bool = False
) -> Checked:
    """Find and read every utterance once; one that cannot be used is an error, not the end.

    Args:
        paths: files, folders or Kaldi `wav.scp` lists; none takes the package's own speech.
        channel: which channel of a recording with several, from 0.
        resample: whether another sample rate is converted.
    """
    sources: list[Source] = []
    known: set[str] = set()
    errors: list[str] = []
    seconds = 0.0
    digest = hashlib.sha256()
    config = FbankConfig()
    for path in paths or (DEFAULT_SPEECH,):
        try:
            found = find_audio([path])
        except AudioError as error:
            errors.append(str(error))
            continue
        for utterance in found:
            try:
                path = followed(on_disk(utterance.path))
            except AudioError as error:
                errors.append(f"utterance {utterance.name}: {error}")
                continue
            source = Source(
                name=utterance.name,
                path=path,
                channel=channel,
                resample=resample,
            )
            if source.name in known:
                errors.append(
                    f"utterance {source.name}: {source.path}: another recording has this name; "
                    "name their folder instead, or rename one"
                )
                continue
            try:
                waveform = read_source(source)
            except AudioError as error:
                errors.append(f"utterance {source.name}: {error}")
                continue
            if not config.num_frames(len(waveform.samples)):
                errors.append(
                    f"utterance {source.name}: {source.path}: too short for one frame; it has "
                    f"{len(waveform.samples)} samples and needs {config.frame_length}"
                )
                continue
            sources.append(source)
            known.add(source.name)
            digest.update(f"{source.name} {len(waveform.samples)} ".encode())
            digest.update(waveform.samples.tobytes())
            seconds += waveform.duration_ns / 1e9
    sha256 = digest.hexdigest() if sources else ""
    return Checked(tuple(sources), seconds, tuple(errors), sha256)


def shortest(count: int) -> tuple[Source, ...]:
    """Return the package's shortest utterances: for comparisons that have to be over soon."""
    sources = check_audio(()).sources
    return tuple(sorted(sources, key=lambda source: read_source(source).duration_ns)[:count])
