"""The recordings of an extraction that a result still lacks."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtfbench.base.errors import InputError
from rtfbench.embed import embeddings
from rtfbench.embed.embeddings import Named, Origin
from rtfbench.inputs.find import Utterance
from rtfbench.inputs.listing import Listing


class PartLine(NamedTuple):
    """A line, where it begins in bytes, and what it says."""

    offset: int
    named: Named
    origin: Origin


def part_line(named: Named, digits: int, origin: Origin | None) -> str:
    """Return a line and its end; without an origin it is as in a text of embeddings."""
    text = embeddings.text_line(named, digits)
    return text if origin is None else f"{text[:-1]}\t{origin.text()}\n"


def read_part_lines(part: Path) -> Iterator[PartLine]:
    """Yield the lines of a part file.

    Raises:
        InputError: one is damaged, or of another length than the first.
    """
    offset, dim = 0, 0
    with part.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text, _, told = line.decode().partition("\t")
                named = embeddings.parse_line(text)
                origin = Origin.parse(told) if told else Origin()
            except ValueError as error:
                raise InputError(
                    f"{part}: line {number} is damaged ({error}); delete it"
                ) from error
            dim = dim or len(named.embedding_D)
            if len(named.embedding_D) != dim:
                raise InputError(f"{part}: line {number} has another length than the first")
            yield PartLine(offset, named, origin)
            offset += len(line)


class Present:
    """Which utterances a part file holds, and where; 16 bytes an utterance."""

    def __init__(self, part: Path) -> None:
        """Index a part file.

        Raises:
            InputError: it is damaged, or holds an utterance twice.
        """
        self.path = part
        hashes, offsets = array("q"), array("q")
        for line in read_part_lines(part):
            hashes.append(hash(line.named.name))
            offsets.append(line.offset)
        order = np.argsort(np.frombuffer(hashes, np.int64), kind="stable")
        self._hashes = np.frombuffer(hashes, np.int64)[order]
        self._offsets = np.frombuffer(offsets, np.int64)[order]
        for first in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]):
            name = self._name_at(int(self._offsets[first]))
            if name == self._name_at(int(self._offsets[first + 1])):
                raise InputError(f"{part}: holds utterance {name!r} twice; delete one of its lines")

    def __len__(self) -> int:
        return len(self._hashes)

    def names(self) -> Iterator[str]:
        """Yield the names in the order of the file."""
        return (line.named.name for line in read_part_lines(self.path))

    def offset(self, name: str) -> int | None:
        """Return where an utterance's line begins, None if there is none."""
        at = int(np.searchsorted(self._hashes, hash(name)))
        while at < len(self._hashes) and self._hashes[at] == hash(name):
            if self._name_at(int(self._offsets[at])) == name:
                return int(self._offsets[at])
            at += 1
        return None

    def _name_at(self, offset: int) -> str:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.readline().split(b" ", 1)[0].decode()


class Remaining:
    """The utterances that a result lacks; reading them again starts again.

    `in_order` says that appending them to what is there keeps the order of the list.
    """

    def __init__(self, listing: Listing, present: Present | None) -> None:
        self._listing, self._present = listing, present
        self.count, self.in_order = listing.count, True
        if present is not None:
            self._compare(present)

    def __iter__(self) -> Iterator[Utterance]:
        for utterance in self._listing.utterances():
            if self._present is None or self._present.offset(utterance.name) is None:
                yield utterance

    def _compare(self, present: Present) -> None:
        """Count what is missing, and refuse what the list does not name."""
        found, last_offset, missing = 0, -1, 0
        for name in self._listing.names():
            offset = present.offset(name)
            if offset is None:
                missing += 1
                continue
            found += 1
            self.in_order &= offset > last_offset and not missing
            last_offset = offset
        if found != len(present):
            listed = set(self._listing.names())
            stranger = next(name for name in present.names() if name not in listed)
            raise InputError(
                f"{present.path}: holds utterance {stranger!r}, which the list does not name; "
                "take the list that it was begun with, or start again with --overwrite"
            )
        self.count = missing
