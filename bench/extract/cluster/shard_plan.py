"""How many shards a list becomes, and which of them are still to be made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtfbench.base.errors import InputError
from rtfbench.extract.cluster.jobs import Pace
from rtfbench.extract.messages import ExtractionSetup
from rtfbench.extract.shards import Manifest, Shard, Unit, edges
from rtfbench.inputs.listing import Listing

#: What a shard should take: long against handing it out, short against losing it.
SHARD_S = 120.0
#: For each task that runs at a time at least, so that all end at about the same time.
SHARDS_A_SLOT = 4
#: Names of files have five digits.
MOST_SHARDS = 99_999
#: Utterances whose pace is taken.
PACED = 8
#: All that belongs to a shard: its embeddings, its manifest, and parts of either.
FILES = re.compile(r"\.?(?:\d+\.)?shard-\d{5,}-of-(\d{5,})\..*")


def places(listing: Listing) -> tuple[int, ...]:
    """Return where the utterances are whose pace is taken, all over the list."""
    count = min(PACED, listing.count)
    return tuple(listing.count * i // count for i in range(count))


def shard_count(listing: Listing, pace: Pace, slots: int) -> int:
    """Return into how many shards a list is parted.

    Args:
        listing: the list.
        pace: of utterances of it.
        slots: how many tasks run at a time.
    """
    wanted = listing.count * pace.wall_s / max(1, pace.embedded) / SHARD_S
    return max(1, min(max(round(wanted), SHARDS_A_SLOT * slots), listing.count, MOST_SHARDS))


def begun(folder: Path) -> int | None:
    """Return of how many shards a folder holds some, None where it holds none.

    Raises:
        InputError: of different numbers, or it cannot be read.
    """
    try:
        names = [each.name for each in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    found = sorted({int(match[1]) for name in names if (match := FILES.fullmatch(name))})
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds parts of {' and of '.join(map(str, found))} shards; delete those of "
            "one number, or start again with --overwrite"
        )
    return found[0] if found else None


def clear(folder: Path) -> None:
    """Delete all shards of a folder."""
    for path in folder.iterdir():
        if FILES.fullmatch(path.name):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ShardPlan:
    """The shards of a list, and where each begins and ends."""

    listing: Listing
    folder: Path
    ends: Sequence[int]

    @classmethod
    def of(cls, listing: Listing, folder: Path, count: int) -> "ShardPlan":
        """Part a list."""
        return cls(listing, folder, edges(listing, count, range(count + 1)))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def unit(self, number: int) -> Unit:
        """Return the n-th shard, from 1."""
        first, stop = self.ends[number - 1], self.ends[number]
        shard = Shard(number=number, of=len(self))
        part = self.listing.part(first, stop)
        return Unit(shard, self.listing, first, part, self.folder)

    def finished(self, setup: ExtractionSetup) -> dict[int, Manifest]:
        """Return number -> what a shard says of itself, of those that a run before has finished.

        Raises:
            InputError: one was of another list or setup.
        """
        numbers = range(1, len(self) + 1)
        found = ((number, self.unit(number).earlier(setup)) for number in numbers)
        return {number: manifest for number, manifest in found if manifest is not None}


def written(unit: Unit) -> int:
    """Return how far a shard is, in bytes: what its next worker goes on from."""
    found = 0
    for path in (unit.result.with_name(f"{unit.result.name}.part"), unit.result):
        try:
            found += path.stat().st_size
        except OSError:
            continue
    return found
