"""Kaldi's `wav.scp`, and the lengths that a data folder keeps beside it."""

from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

from bench.base.cache import sha256_of
from bench.inputs.listing import Listing
from frontends.find import check_list, list_names, read_list

#: Files of a data folder that tell lengths, and the seconds that one of their units stands for.
LENGTHS = {"utt2dur": 1.0, "utt2num_frames": 0.01}


def from_scp(scp: Path) -> Listing:
    """Return the entries of a Kaldi list.

    Raises:
        AudioError: a line cannot be followed, or two have one name.
    """
    count = check_list(scp)
    beside = next((each for name in LENGTHS if (each := scp.parent / name).is_file()), None)
    return Listing(
        count=count,
        sha256=sha256_of(scp, *([beside] if beside else [])),
        read=lambda first, stop: read_list(scp, first, stop),
        names=lambda: list_names(scp),
        lengths=(lambda: _lengths(list_names(scp), beside)) if beside else None,
    )


def _lengths(names: Iterator[str], beside: Path) -> Iterator[float | None]:
    """Yield each utterance's seconds while the other file goes on in the list's order."""
    unit_s = LENGTHS[beside.name]
    with beside.open(encoding="utf-8") as lines:
        for name, line in zip(names, chain(lines, repeat("")), strict=False):
            found, _, value = line.strip().partition(" ")
            try:
                yield float(value) * unit_s if found == name else None
            except ValueError:
                yield None
