"""One part of a list as a unit of work: which entries it holds, its files, and what it amounts to.

Shards are runs of neighbours, so that joining them in their order gives the list's order.
"""

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from rtfbench.base.cache import sha256_of, write_whole
from rtfbench.base.errors import InputError
from rtfbench.base.files import read_bytes, reading_from
from rtfbench.base.values import Value
from rtfbench.extract.messages import ExtractionSetup, Unusable
from rtfbench.extract.pool import Finished
from rtfbench.inputs.find import Listing

#: Shards hold Kaldi vectors: every bit of a float32, and usable as they are.
ENDING = ".ark"
#: No recording is longer; hundred millions of such lengths can be added up.
MOST_S = 1e7
MANIFEST = re.compile(r"shard-\d{5,}-of-\d{5,}\.json")


class Shard(Value):
    """The n-th part of so many, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return what `3/32` means.

        Raises:
            InputError: it is no part.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if found and 1 <= int(found[1]) <= int(found[2]):
            return cls(number=int(found[1]), of=int(found[2]))
        raise InputError(f"--shard {text}: need a part like 3/32, from 1/32 to 32/32")

    @property
    def name(self) -> str:
        """The beginning of its files' names."""
        return f"shard-{self.number:05}-of-{self.of:05}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Manifest(Value):
    """What a finished shard says of itself, beside its embeddings.

    `first` is the place of its first entry in the list, from 0; `entries` counts what the list has
    for it, embeddings and failures together. `sha256` is that of the embeddings' file, None where
    there is none.
    """

    shard: Shard
    list_sha256: str
    list_entries: int
    first: int
    entries: int
    done: int
    failures: dict[str, str]
    sha256: str | None
    setup: ExtractionSetup

    def differences(self, other: "Manifest") -> list[str]:
        """Say in which respects two shards are not of one whole."""
        found = self.setup.differences(other.setup)
        if self.shard.of != other.shard.of:
            found.append(f"{self.shard.of} shards, not {other.shard.of}")
        if self.list_sha256 != other.list_sha256:
            found.append(f"list {self.list_sha256[:12]}, not {other.list_sha256[:12]}")
        return found


def read_manifest(path: Path) -> Manifest:
    """Return what a shard says of itself.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        with reading_from(path):
            return Manifest.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise InputError(
            f"{path}: is no manifest of a shard; delete it and run the shard again"
        ) from error


def bounds(listing: Listing, shard: Shard) -> tuple[int, int]:
    """Return the places, from 0, of a shard's first entry and behind its last."""
    first, stop = edges(listing, shard.of, (shard.number - 1, shard.number))
    return first, stop


def edges(listing: Listing, of: int, numbers: Iterable[int]) -> list[int]:
    """Return the places, from 0, where shards end; 0 is where the first begins.

    Where the list tells every length, shards are equally long within one utterance, else they have
    equally many entries. An entry belongs where its middle falls.
    """
    ends_ms = _ends_ms(listing)
    if ends_ms is None:
        return [listing.count * number // of for number in numbers]
    middles = ends_ms - np.diff(ends_ms, prepend=0) / 2
    limits = [int(ends_ms[-1]) * number / of for number in numbers]
    return [int(each) for each in np.searchsorted(middles, limits)]


def _ends_ms(listing: Listing) -> "np.typing.NDArray[np.int64] | None":
    """Return where each entry would end if they were one recording; 8 bytes an entry."""
    if listing.lengths is None:
        return None
    lengths_ms = array("q")
    for seconds in listing.lengths():
        if seconds is None or not 0 < seconds < MOST_S:
            return None
        lengths_ms.append(round(1000 * seconds))
    return np.cumsum(np.frombuffer(lengths_ms, np.int64)) if lengths_ms else None


@dataclass
class Unit:
    """A shard at work: its entries, its files, and the failures so far."""

    shard: Shard
    whole: Listing
    #: Where its entries begin in the list, and where those behind them do.
    first: int
    stop: int
    folder: Path
    failures: dict[str, str] = field(default_factory=dict)

    @cached_property
    def listing(self) -> Listing:
        """Its entries."""
        return self.whole.part(self.first, self.stop)

    @classmethod
    def of(cls, text: str, whole: Listing, folder: Path | None) -> "Unit":
        """Return a shard of a list that is to be written to a folder.

        Raises:
            InputError: it is no part, or there is no folder for it.
        """
        shard = Shard.parse(text)
        if folder is None or (folder.exists() and not folder.is_dir()):
            raise InputError(
                f"--shard {shard}: name a folder for the shards with --result, and join them with "
                "`rtfbench merge`"
            )
        return cls(shard, whole, *bounds(whole, shard), folder)

    @property
    def result(self) -> Path:
        """Where its embeddings go."""
        return self.folder / f"{self.shard.name}{ENDING}"

    @property
    def manifest(self) -> Path:
        """Where it says what it is; there once it is finished."""
        return self.folder / f"{self.shard.name}.json"

    def add(self, finished: Finished) -> None:
        """Remember a failure."""
        if isinstance(finished.answer, Unusable):
            self.failures[finished.utterance.name] = finished.answer.reason

    def earlier(self, setup: ExtractionSetup) -> Manifest | None:
        """Return what a finished run of this shard says, None if there was none.

        Raises:
            InputError: it was another list, or another setup.
        """
        if not self.manifest.exists():
            return None
        found = read_manifest(self.manifest)
        if different := found.differences(self._manifest(setup, 0)):
            raise InputError(
                f"{self.manifest}: is finished, with {'; '.join(different)}; take the same, "
                "another folder for --result, or --overwrite"
            )
        return found

    def finish(self, setup: ExtractionSetup) -> None:
        """Say that it is finished.

        Raises:
            InputError: it cannot be written.
        """
        manifest = self._manifest(setup, self.listing.count - len(self.failures))
        try:
            write_whole(self.manifest, manifest.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise InputError(f"{self.manifest}: cannot be written ({error.strerror})") from error

    def _manifest(self, setup: ExtractionSetup, done: int) -> Manifest:
        return Manifest(
            shard=self.shard,
            list_sha256=self.whole.sha256,
            list_entries=self.whole.count,
            first=self.first,
            entries=self.listing.count,
            done=done,
            failures=self.failures,
            sha256=sha256_of(self.result) if done else None,
            setup=setup,
        )
