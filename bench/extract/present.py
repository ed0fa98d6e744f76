"""Which utterances a part file of `extract` holds already."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.base.errors import InputError
from bench.embed import embeddings


class Present:
    """Which utterances a part file holds, and where; 16 bytes an utterance."""

    def __init__(self, part: Path) -> None:
        """Index a part file.

        Raises:
            InputError: it is damaged, or holds an utterance twice.
        """
        self.path = part
        hashes, offsets = array("q"), array("q")
        for offset, name in _names(part):
            hashes.append(hash(name))
            offsets.append(offset)
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
        return (name for _, name in _names(self.path))

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


def _names(part: Path) -> Iterator[tuple[int, str]]:
    """Yield (offset, name) of every line.

    Raises:
        InputError: a line is no embedding.
    """
    offset, dim = 0, 0
    with part.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                named = embeddings.parse_line(line.decode())
            except ValueError as error:
                raise InputError(
                    f"{part}: line {number} is damaged ({error}); delete it"
                ) from error
            dim = dim or len(named.embedding_D)
            if len(named.embedding_D) != dim:
                raise InputError(f"{part}: line {number} has another length than the first")
            yield offset, named.name
            offset += len(line)
