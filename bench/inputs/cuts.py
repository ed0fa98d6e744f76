"""Lhotse's cuts: stretches of recordings, one JSON object a line. Lhotse itself is not needed."""

from collections.abc import Mapping
from typing import Any

from frontends.addresses import Place, place_of
from frontends.parts import Part

CURE = "write the audio out with lhotse, CutSet.save_audios, and name the cuts that it returns"


class CutError(ValueError):
    """A cut is more than a stretch of one audio file."""


def is_cut(fields: Mapping[str, Any]) -> bool:
    """Say whether an object of a list is a cut of any type."""
    return str(fields.get("type", "")).endswith("Cut")


def file_and_part(cut: Mapping[str, Any]) -> tuple[Place, Part]:
    """Return the audio file that a cut is from, and where it is in it.

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
    return place_of(sources[0]["source"]), Part(
        begin_s=begin_s,
        end_s=begin_s + duration_s,
        channel=_channel(cut["channel"], sources[0]["channels"]),
    )


def _channel(wanted: int | list[int], channels: list[int]) -> int | None:
    """Return a channel's place in its file, None where that is for the reader to choose."""
    if isinstance(wanted, list):
        if len(wanted) != 1:
            return None
        (wanted,) = wanted
    return None if channels == [wanted] else channels.index(wanted)
