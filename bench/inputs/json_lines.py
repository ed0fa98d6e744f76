"""Lists of JSON objects, one a line: WeSpeaker's `raw.list`, NeMo's manifests, lhotse's cuts."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from bench.inputs import cuts
from bench.inputs.listing import Listing, content_sha256
from frontends.addresses import Place, place_of
from frontends.audio import AudioError, audio_error
from frontends.find import Utterance, check_names, located, numbered_lines, utterance_name
from frontends.parts import Part

CURE = (
    'write lines like {"key": "utt1", "wav": "a.wav"}, as WeSpeaker does, or '
    '{"audio_filepath": "a.wav", "duration": 1.5}, as NeMo does'
)


class Entry(NamedTuple):
    """An utterance as its line tells of it, or why that tells of none."""

    name: str
    path: Place
    part: Part | None
    duration_s: float | None
    fault: str = ""


def from_json_lines(path: Place) -> Listing:
    """Return the utterances of a list.

    WeSpeaker's have a name; NeMo's are named by `utt_id` or `id` if there is one, else by the
    file's stem, and by where they begin if `offset` is told. Lhotse's cuts are named by `id`.
    A line that tells of no utterance is one with a fault, named by its number.

    Raises:
        AudioError: no line tells of an utterance, or two have one name.
    """

    def numbered() -> Iterator[tuple[int, Entry]]:
        for number, line in numbered_lines(path):
            try:
                yield number, _entry(path, number, line)
            except AudioError as error:
                yield number, Entry(f"line-{number}", path, None, None, fault=str(error))

    def entries() -> Iterator[Entry]:
        return (entry for _, entry in numbered())

    def read(first: int, stop: int) -> Iterator[Utterance]:
        for entry in islice(entries(), first, stop):
            where = path if entry.fault else located(entry.path, path)
            yield Utterance(entry.name, where, entry.part, entry.fault)

    count = check_names(path, lambda: ((number, entry.name) for number, entry in numbered()))
    if not count:
        raise audio_error(path, f"names no audio; {CURE}")
    if all(entry.fault for entry in entries()):
        raise AudioError(next(entries()).fault)
    return Listing(
        count=count,
        sha256=content_sha256(path),
        read=read,
        names=lambda: (entry.name for entry in entries()),
        lengths=lambda: (entry.duration_s for entry in entries()),
    )


def _entry(path: Place, number: int, line: str) -> Entry:
    try:
        fields = json.loads(line)
        if cuts.is_cut(fields):
            entry = _lhotse(fields)
        elif "wav" in fields:
            entry = _wespeaker(fields)
        else:
            entry = _nemo(fields)
    except cuts.CutError as error:
        raise audio_error(path, f"line {number} {error}; {cuts.CURE}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise audio_error(path, f"line {number} is no utterance; {CURE}") from None
    begin_s = entry.part.begin_s if entry.part else 0.0
    duration_s = entry.duration_s
    if not 0 <= begin_s < math.inf or not (duration_s is None or 0 < duration_s < math.inf):
        raise audio_error(path, f"line {number}: offset and duration are no stretch of audio")
    return entry


def _lhotse(fields: dict[str, Any]) -> Entry:
    audio, part = cuts.file_and_part(fields)
    return Entry(utterance_name(str(fields["id"])), audio, part, float(fields["duration"]))


def _wespeaker(fields: dict[str, Any]) -> Entry:
    audio = place_of(fields["wav"])
    return Entry(utterance_name(str(fields["key"])), audio, None, _duration_s(fields))


def _nemo(fields: dict[str, Any]) -> Entry:
    audio, duration_s = place_of(fields["audio_filepath"]), _duration_s(fields)
    part, begin = None, ""
    if offset_s := float(fields.get("offset") or 0):  # without one the duration is the file's
        part = Part(begin_s=offset_s, end_s=None if duration_s is None else offset_s + duration_s)
        begin = f"-{round(1000 * offset_s):08}"
    name = fields.get("utt_id") or fields.get("id") or audio.stem + begin
    return Entry(utterance_name(str(name)), audio, part, duration_s)


def _duration_s(fields: dict[str, Any]) -> float | None:
    return None if fields.get("duration") is None else float(fields["duration"])
