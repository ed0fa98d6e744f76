"""Which utterances a part file of `extract` holds already."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.base.errors import InputError
from bench.extract.part_lines import read_part_lines


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
