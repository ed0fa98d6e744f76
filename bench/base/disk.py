"""Room on a disk, looked at before hours are spent on what cannot be kept."""

import os
from pathlib import Path

from bench.base.errors import InputError

MB = 1_000_000


def check_room(place: Path, needed_bytes: int, *, what: str, named_by: str) -> None:
    """Refuse a place on a disk that is too full.

    Args:
        place: a file or folder, which need not be there yet.
        needed_bytes: what it takes at least: a guess that is too low refuses nothing in vain.
        what: needs it, for the message.
        named_by: the option or variable that names another place.

    Raises:
        InputError: there is less; one line with both figures.
    """
    free = free_bytes(place)
    if free is not None and free < needed_bytes:
        raise InputError(
            f"{place}: {what} takes {_told(needed_bytes)} at least, and its disk has "
            f"{_told(free)} left; make room, or name another place with {named_by}"
        )


def free_bytes(place: Path) -> int | None:
    """Return what a place's disk has left for us, None where the system does not tell."""
    for folder in (place, *place.absolute().parents):
        try:
            found = os.statvfs(folder)
        except (OSError, ValueError):  # not there yet; or a name that cannot be
            continue
        # Some file systems of networks tell no sizes at all.
        return found.f_bavail * found.f_frsize if found.f_blocks else None
    return None


def _told(size_bytes: int) -> str:
    return f"{max(size_bytes, 0) / MB:,.1f} MB"
