"""Lists of JSON objects, one a line: WeSpeaker's `raw.list`, NeMo's manifests, lhotse's cuts."""

import json
import math
from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rtfbench.base.numbers import repeated
from rtfbench.frontends.addresses import Address, Place, place_of
from rtfbench.frontends.audio import AudioError, audio_error, is_text
from rtfbench.inputs.find import (
    NO_COMMANDS,
    Listing,
    Utterance,
    check_names,
    command_of,
    content_sha256,
    located,
    numbered_lines,
    utterance_name,
)
from rtfbench.inputs.parts import Part

#: Fields by which lists of other tools choose what is to be heard.
SELECTING = (
    *("offset", "vad", "start", "end", "begin", "stop", "start_time", "end_time", "segments"),
    *("channel", "channels", "speed", "tempo"),
)
LHOTSE_CURE = (
    "write the audio out with lhotse, CutSet.save_audios, and name the cuts that it returns"
)


class CutError(ValueError):
    """A cut is more than a stretch of one audio file."""


CURE = (
    'write lines like {"key": "utt1", "wav": "a.wav"}, as WeSpeaker does, or '
    '{"audio_filepath": "a.wav", "duration": 1.5}, as NeMo does'
)


class JsonLine(NamedTuple):
    """An utterance as its line tells of it, or why that tells of none.

    The long name is for names that others have too. `unused` are fields that look as if they chose
    what is to be heard, and are not known.
    """

    name: str
    path: Place
    part: Part | None
    duration_s: float | None
    fault: str = ""
    long_name: str = ""
    unused: tuple[str, ...] = ()


def from_json_lines(path: Place, *, allow_pipes: bool = False) -> Listing:
    """Return the utterances of a list.

    WeSpeaker's have a name; NeMo's are named by `utt_id` or `id` if there is one, else by `uniq_id`
    or the file's stem, where that repeats by its path, and by where they begin if `offset` is told.
    Lhotse's cuts are named by `id`. A line that tells of no utterance is one with a fault, named by
    its number.

    Raises:
        AudioError: no line tells of an utterance, or two have one name.
    """
    repeats: set[int] = set()

    def numbered() -> Iterator[tuple[int, JsonLine]]:
        for number, line in numbered_lines(path):
            try:
                entry = _entry(path, number, line, allow_pipes)
            except AudioError as error:
                yield number, JsonLine(f"line-{number}", path, None, None, fault=str(error))
                continue
            if entry.long_name and hash(entry.name) in repeats:
                entry = entry._replace(name=entry.long_name)
            yield number, entry

    def entries() -> Iterator[JsonLine]:
        return (entry for _, entry in numbered())

    def read(first: int, stop: int) -> Iterator[Utterance]:
        for entry in islice(entries(), first, stop):
            is_elsewhere = entry.fault or (entry.part and entry.part.command)
            where = entry.path if is_elsewhere else located(entry.path, path)
            yield Utterance(entry.name, where, entry.part, entry.fault)

    unused: dict[str, None] = {}
    hashes = array("q")
    for entry in entries():
        unused |= dict.fromkeys(entry.unused)
        hashes.append(hash(entry.name))
    repeats |= repeated(hashes)
    count = check_names(path, lambda: ((number, entry.name) for number, entry in numbered()))
    if not count:
        raise audio_error(path, f"names no audio; {CURE}")
    if all(entry.fault for entry in entries()):
        raise AudioError(next(entries()).fault)
    fields = " and ".join(map(repr, unused))
    return Listing(
        count=count,
        sha256=content_sha256(path),
        read=read,
        names=lambda: (entry.name for entry in entries()),
        lengths=lambda: (entry.duration_s for entry in entries()),
        notes=(f"{path}: fields {fields} are not known here, and choose nothing",) * bool(unused),
    )


def _entry(path: Place, number: int, line: str, allow_pipes: bool) -> JsonLine:
    try:
        fields = json.loads(line)
        if str(fields.get("type", "")).endswith("Cut"):
            entry = _lhotse(fields)
        elif "wav" in fields:
            entry = _wespeaker(fields)
        else:
            entry = _nemo(fields)
    except CutError as error:
        raise audio_error(path, f"line {number} {error}; {LHOTSE_CURE}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise audio_error(path, f"line {number} is no utterance; {CURE}") from None
    if not entry.name or "\0" in entry.name or not is_text(Path(entry.name)):
        shown = ascii(entry.name)
        raise audio_error(path, f"line {number} has no name that can be written: {shown}; {CURE}")
    begin_s = entry.part.begin_s if entry.part else 0.0
    duration_s = entry.duration_s
    if not 0 <= begin_s < math.inf or not (duration_s is None or 0 < duration_s < math.inf):
        raise audio_error(path, f"line {number}: offset and duration are no stretch of audio")
    if not str(entry.path).endswith("|"):
        return entry
    if not allow_pipes:
        raise audio_error(path, f"line {number} {NO_COMMANDS}")
    command = command_of(path, number, str(entry.path))
    return entry._replace(part=replace(entry.part or Part(), command=command))


def _lhotse(cut: dict[str, Any]) -> JsonLine:
    """Return the utterance of a cut.

    Raises:
        CutError: it mixes, pads or changes audio, or its audio is in no file.
        KeyError, TypeError, ValueError: it is malformed.
    """
    if cut["type"] not in ("MonoCut", "MultiCut"):
        raise CutError(f"is a {cut['type']}, which is no stretch of a recording")
    recording = cut.get("recording")
    if recording is None:
        raise CutError("has features only, no recording")
    if recording.get("transforms"):
        raise CutError("changes its recording")
    sources = recording["sources"]
    if len(sources) != 1 or sources[0]["type"] not in ("file", "url"):
        raise CutError("has a recording that is not in one file")
    begin_s, duration_s = float(cut["start"]), float(cut["duration"])
    channel = _channel(cut["channel"], sources[0]["channels"])
    part = Part(begin_s=begin_s, end_s=begin_s + duration_s, channel=channel)
    return JsonLine(_name(cut["id"]), place_of(sources[0]["source"]), part, duration_s)


def _channel(wanted: int | list[int], channels: list[int]) -> int | None:
    """Return a channel's place in its file, None where that is for the reader to choose."""
    if isinstance(wanted, list):
        if len(wanted) != 1:
            return None
        (wanted,) = wanted
    return None if channels == [wanted] else channels.index(wanted)


def _wespeaker(fields: dict[str, Any]) -> JsonLine:
    audio, duration_s, part = place_of(fields["wav"]), _duration_s(fields), None
    if fields.get("vad") is not None:
        stretches = tuple((float(begin), float(end)) for begin, end in fields["vad"])
        if not all(0 <= begin < end < math.inf for begin, end in stretches):
            raise ValueError("no stretches of audio")
        (begin_s, end_s), *more = stretches
        part = Part(begin_s=begin_s, end_s=end_s, more=tuple(more))
        duration_s = sum(end - begin for begin, end in stretches)
    unused = _unused(fields, "vad")
    return JsonLine(_name(fields["key"]), audio, part, duration_s, unused=unused)


def _nemo(fields: dict[str, Any]) -> JsonLine:
    audio, duration_s = place_of(fields["audio_filepath"]), _duration_s(fields)
    offset_s = float(fields.get("offset") or 0)
    part = None
    if offset_s or duration_s is not None:
        part = Part(begin_s=offset_s, end_s=None if duration_s is None else offset_s + duration_s)
    begin = f"-{round(1000 * offset_s):08}" if offset_s else ""
    unused = _unused(fields, "offset")
    names = (fields.get("utt_id"), fields.get("id"))
    given = next((each for each in names if each is not None and each != ""), None)
    if given is not None:  # 0 is a name
        return JsonLine(_name(given), audio, part, duration_s, unused=unused)
    # Of a window of a recording, `uniq_id` names the recording.
    short = f"{_name(fields.get('uniq_id') or audio.stem)}{begin}"
    path = str(audio if isinstance(audio, Address) else audio.with_suffix(""))
    long_name = f"{utterance_name(path)}{begin}"
    return JsonLine(short, audio, part, duration_s, long_name=long_name, unused=unused)


def _unused(fields: dict[str, Any], used: str) -> tuple[str, ...]:
    return tuple(name for name in SELECTING if name != used and fields.get(name) is not None)


def _duration_s(fields: dict[str, Any]) -> float | None:
    return None if fields.get("duration") is None else float(fields["duration"])


def _name(value: object) -> str:
    """Return what a line calls an utterance.

    Raises:
        TypeError: it is neither text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{value!r} is no name")
    return utterance_name(str(value))
