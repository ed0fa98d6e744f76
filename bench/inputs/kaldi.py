"""Kaldi's `wav.scp`, with `segments` and with the lengths that a data folder keeps beside it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path

from rtfbench.frontends.addresses import Place
from rtfbench.frontends.audio import audio_error
from rtfbench.inputs.find import (
    Listing,
    Utterance,
    check_list,
    check_names,
    content_sha256,
    entries,
    numbered_lines,
    read_list,
)
from rtfbench.inputs.parts import Part

#: Files of a data folder that tell lengths, and the seconds that one of their units stands for.
LENGTHS = {"utt2dur": 1.0, "utt2num_frames": 0.01}


def from_scp(scp: Place, *, allow_pipes: bool = False) -> Listing:
    """Return the entries of a Kaldi list.

    Raises:
        AudioError: a line cannot be followed, or two have one name.
    """

    def names() -> Iterator[str]:
        return (name for _, name, _ in entries(scp, allow_pipes))

    folder = scp.parent if isinstance(scp, Path) else None
    beside = next((each for name in LENGTHS if folder and (each := folder / name).is_file()), None)
    return Listing(
        count=check_list(scp, allow_pipes=allow_pipes),
        sha256=content_sha256(scp, *([beside] if beside else [])),
        read=lambda first, stop: read_list(scp, first, stop, allow_pipes=allow_pipes),
        names=names,
        lengths=(lambda: _lengths(names(), beside)) if beside else None,
    )


def _lengths(names: Iterator[str], beside: Path) -> Iterator[float | None]:
    """Yield each utterance's seconds while the other file goes on in the list's order."""
    unit_s = LENGTHS[beside.name]
    with beside.open(encoding="utf-8", errors="replace") as lines:
        for name, line in zip(names, chain(lines, repeat("")), strict=False):
            found, _, value = line.strip().partition(" ")
            try:
                yield float(value) * unit_s if found == name else None
            except ValueError:
                yield None


def from_segments(segments: Place, scp: Place, *, allow_pipes: bool = False) -> Listing:
    """Return stretches of recordings: lines of `UTTERANCE RECORDING BEGIN END`, in seconds.

    An end of -1 is that of the recording. The recordings are held in memory, the segments not.

    Raises:
        AudioError: a line cannot be followed, two have one name, or a recording is not in the list.
    """
    check_list(scp, allow_pipes=allow_pipes)
    recordings = {each.name: each for each in read_list(scp, allow_pipes=allow_pipes)}

    def checked() -> Iterator[tuple[int, str]]:
        for number, line in numbered_lines(segments):
            name, recording, _, _ = _segment(segments, number, line)
            if recording not in recordings:
                raise audio_error(
                    segments, f"line {number}: recording {recording!r} is not in {scp}; add it"
                )
            yield number, name

    def fields() -> Iterator[tuple[str, str, float, float | None]]:
        return (_segment(segments, *numbered) for numbered in numbered_lines(segments))

    def read(first: int, stop: int) -> Iterator[Utterance]:
        for name, recording, begin_s, end_s in islice(fields(), first, stop):
            whole = recordings[recording]
            part = replace(whole.part or Part(), begin_s=begin_s, end_s=end_s)
            yield Utterance(name, whole.path, part)

    count = check_names(segments, checked)
    if not count:
        raise audio_error(segments, "names no segment; write lines: UTTERANCE RECORDING BEGIN END")
    return Listing(
        count=count,
        sha256=content_sha256(segments, scp),
        read=read,
        names=lambda: (name for name, _, _, _ in fields()),
        lengths=lambda: (None if end is None else end - begin for _, _, begin, end in fields()),
    )


def _segment(segments: Place, number: int, line: str) -> tuple[str, str, float, float | None]:
    try:
        name, recording, begin, end = line.split()
        begin_s, end_s = float(begin), float(end)
    except ValueError:
        cure = "write: UTTERANCE RECORDING BEGIN END, in seconds"
        raise audio_error(segments, f"line {number} is no segment; {cure}") from None
    # Not the other way round: NaN is neither before nor behind anything.
    if not (0 <= begin_s < math.inf and (end_s == -1 or begin_s < end_s < math.inf)):
        raise audio_error(segments, f"line {number}: ends at {end} s, begins at {begin} s")
    return name, recording, begin_s, None if end_s == -1 else end_s
