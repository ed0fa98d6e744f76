"""Lists of JSON objects, one a line: WeSpeaker's `raw.list` and NeMo's manifests."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bench.base.cache import sha256_of
from bench.inputs.listing import Listing
from frontends.audio import audio_error
from frontends.find import Utterance, check_names, located, numbered_lines, utterance_name
from frontends.parts import Part

CURE = (
    'write lines like {"key": "utt1", "wav": "a.wav"}, as WeSpeaker does, or '
    '{"audio_filepath": "a.wav", "duration": 1.5}, as NeMo does'
)


class Entry(NamedTuple):
    """An utterance as its line tells of it."""

    name: str
    path: Path
    offset_s: float
    duration_s: float | None


def from_json_lines(path: Path) -> Listing:
    """Return the utterances of a list.

    WeSpeaker's have a name; NeMo's are named by `utt_id` or `id` if there is one, else by the
    file's stem, and by where they begin if `offset` is told.

    Raises:
        AudioError: a line tells of no utterance, or two have one name.
    """

    def entries() -> Iterator[Entry]:
        return (_entry(path, *numbered) for numbered in numbered_lines(path))

    def read(first: int, stop: int) -> Iterator[Utterance]:
        for entry in islice(entries(), first, stop):
            yield Utterance(entry.name, located(entry.path, path), _part(entry))

    def checked() -> Iterator[tuple[int, str]]:
        for number, line in numbered_lines(path):
            yield number, _entry(path, number, line).name

    count = check_names(path, checked)
    if not count:
        raise audio_error(path, f"names no audio; {CURE}")
    return Listing(
        count=count,
        sha256=sha256_of(path),
        read=read,
        names=lambda: (entry.name for entry in entries()),
        lengths=lambda: (entry.duration_s for entry in entries()),
    )


def _part(entry: Entry) -> Part | None:
    """Return the stretch that is meant; without an offset a NeMo duration is that of the file."""
    if not entry.offset_s:
        return None
    end_s = None if entry.duration_s is None else entry.offset_s + entry.duration_s
    return Part(begin_s=entry.offset_s, end_s=end_s)


def _entry(path: Path, number: int, line: str) -> Entry:
    try:
        fields = json.loads(line)
        wespeaker = "wav" in fields
        audio = Path(fields["wav" if wespeaker else "audio_filepath"])
        offset_s = 0.0 if wespeaker else float(fields.get("offset") or 0)
        duration = fields.get("duration")
        duration_s = None if duration is None else float(duration)
        if wespeaker:
            name = fields["key"]
        else:
            begin = f"-{round(1000 * offset_s):08}" if offset_s else ""
            name = fields.get("utt_id") or fields.get("id") or audio.stem + begin
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise audio_error(path, f"line {number} is no utterance; {CURE}") from None
    if not 0 <= offset_s < math.inf or not (duration_s is None or 0 < duration_s < math.inf):
        raise audio_error(path, f"line {number}: offset and duration are no stretch of audio")
    return Entry(utterance_name(str(name)), audio, offset_s, duration_s)
