"""The result file: a part file grows beside it line by line, and becomes it at the end.

The part is text with all digits for every format, so that it is a valid beginning whenever the
program ends, and `--resume` can go on from it. A card beside it says what the embeddings were
computed with; it stays beside the result.
"""

import fcntl
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from rtfbench.base.cache import replacing, write_whole
from rtfbench.base.child import write_all
from rtfbench.base.errors import InputError
from rtfbench.base.files import followed, writing_to
from rtfbench.base.limits import parse_size
from rtfbench.embed import embeddings
from rtfbench.embed.embeddings import (
    EXACT_DIGITS,
    TEXT_DIGITS,
    Named,
    Origin,
    origins_path,
    read_origins,
    read_parquet_origins,
    write_origins,
)
from rtfbench.embed.kaldi_vectors import ENDINGS as KALDI_ENDINGS
from rtfbench.embed.kaldi_vectors import written_arks
from rtfbench.extract.messages import ExtractionSetup
from rtfbench.inputs.find import Listing, Utterance


class PartLine(NamedTuple):
    """A line, where it begins in bytes, and what it says."""

    offset: int
    named: Named
    origin: Origin


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


class Card(ExtractionSetup):
    """What a result was computed with.

    Of a shard it holds the SHA-256 of the list too; other results may go on with a longer list.
    """

    list_sha256: str = ""


def read_card(path: Path) -> Card | None:
    """Return what a finished result was computed with, None where nothing tells.

    Of Kaldi's two files, either one may have been named for the result.
    """
    for each in _places(path):
        with suppress(OSError, ValidationError):
            return Card.model_validate_json(each.read_bytes())
    return None


def _places(path: Path) -> list[Path]:
    """Return where a result's card may be."""
    names = [path]
    if path.suffix.lower() in KALDI_ENDINGS:
        names += [path.with_suffix(ending) for ending in KALDI_ENDINGS]
    return [card_path(each) for each in names]


def write_card(path: Path, setup: ExtractionSetup, list_sha256: str = "") -> None:
    """Write down what a result was computed with, beside it."""
    card = Card(**dict(setup), list_sha256=list_sha256)
    write_whole(card_path(path), card.model_dump_json(indent=2) + "\n")


def card_path(path: Path) -> Path:
    """Return where a result's card is."""
    return path.with_name(f"{path.name}.json")


class ResultBusyError(InputError):
    """Another process is writing the result."""


class ResultFile:
    """One result on its way. Use it as a context: the part stays unless `finish` was called.

    A link is followed: what it names becomes the result, and the link stays.
    """

    def __init__(
        self,
        path: Path,
        *,
        part_bytes: int | None = None,
        keeps_origins: bool = False,
        list_sha256: str = "",
    ) -> None:
        """Take up a path; nothing is written before `begin`.

        Args:
            path: the result.
            part_bytes: the size of the parts that an `.ark` is split into; None for one file.
            keeps_origins: whether a file beside it tells where the embeddings are from. Parquet
                has columns for that.
            list_sha256: of the list, where no other one may go on with the result.
        """
        path = followed(path) if path.is_symlink() else path
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self._part_card = card_path(self.part)
        self._writer = embeddings.writer_for(path, part_bytes, self._origins)
        self._keeps_origins, self._list_sha256 = keeps_origins, list_sha256
        self._is_parquet = path.suffix.lower() == embeddings.PARQUET
        self._digits = EXACT_DIGITS if self._writer else TEXT_DIGITS
        self._fd = -1

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            if self.is_empty:
                self._remove_part()
            os.close(self._fd)
            self._fd = -1

    @property
    def outputs(self) -> list[Path]:
        """Every file that is written or deleted: the result, its card, and their parts."""
        parts = written_arks(self.path.with_suffix(".scp")) if self._is_kaldi else ()
        beside = [card_path(self.path), self.part, self._part_card]
        return [*self._results, *parts, *beside, *[origins_path(self.path)] * self._keeps_origins]

    @property
    def _is_kaldi(self) -> bool:
        return self.path.suffix.lower() in KALDI_ENDINGS

    @property
    def _results(self) -> list[Path]:
        """The result's files; an `.ark` in parts has its `.scp` alone."""
        pair = KALDI_ENDINGS if self._is_kaldi else ()
        return [self.path, *map(self.path.with_suffix, pair)]

    @property
    def finished(self) -> Path | None:
        """The result of a run before, None where there is none."""
        return next((each for each in self._results if each.exists()), None)

    @property
    def is_empty(self) -> bool:
        """Whether the part file holds nothing that would be lost."""
        return os.fstat(self._fd).st_size == 0

    def room_bytes(self, count: int, embedding_dim: int) -> int:
        """Return what so many more embeddings take at least: as text, and as what it becomes."""
        text, binary = self._digits + 1, 4 if self._writer else 0
        return count * embedding_dim * (text + binary)

    def begin(self, setup: ExtractionSetup, *, resume: bool, overwrite: bool) -> Present | None:
        """Make the part file, or take up the one that is there.

        To `resume` is to go on with a part file, or with a finished result that lacks utterances;
        to overwrite, to throw a part file away, and replace a finished result.

        Returns:
            What is there already, None for a fresh start.

        Raises:
            InputError: there is a result or a part file and neither was asked for, it was made
                with another setup, or the place cannot be written.
        """
        with writing_to(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise InputError(f"{self.path}: is a folder; name a file for --result")
            if self.path.is_symlink():
                raise InputError(f"{self.path}: is a link that leads in a circle; name a file")
            self._fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._lock()
            begun = os.fstat(self._fd).st_size > 0
            if begun and not (resume or overwrite):
                raise InputError(
                    f"{self.part}: left by a run that was interrupted; go on with --resume, "
                    "or start again with --overwrite"
                )
            finished = self.finished
            if finished is not None and not (resume or overwrite):
                raise InputError(
                    f"{finished}: is there already; compute what it lacks with --resume, or "
                    "replace it with --overwrite"
                )
            if not resume:
                os.ftruncate(self._fd, 0)
            elif begun:
                self._check_same(self.part, read_card(self.part), setup)
                _mend(self.part, self._fd)
            elif finished is not None:
                self._check_same(finished, read_card(finished), setup)
                for named, origin in zip(
                    embeddings.read_embeddings(finished), _origins_of(finished), strict=False
                ):
                    self.append(named, origin)
            write_card(self.part, setup, self._list_sha256)
        return Present(self.part) if resume else None

    def append(self, named: Named, origin: Origin) -> None:
        """Write a line and hand it to the operating system at once.

        Raises:
            InputError: there is no room for it.
        """
        text = embeddings.text_line(named, self._digits)
        if self._keeps_origins or self._is_parquet:
            text = f"{text[:-1]}\t{origin.text()}\n"
        try:
            write_all(self._fd, text.encode())
        except OSError as error:
            raise InputError(
                f"{self.part}: cannot be written ({error.strerror}); make room and go on with "
                "--resume"
            ) from error

    def finish(self, names: Iterable[str] | None) -> bool:
        """Make the result of the part, atomically; its names are given unless it has their order.

        Returns:
            Whether there is a result: nothing is written where there is no embedding.

        Raises:
            InputError: it cannot be written; the part stays.
        """
        if self.is_empty:
            return False
        try:
            if names is not None:
                self._sort(names)
            os.fsync(self._fd)
            if self._keeps_origins:
                write_origins(origins_path(self.path), self._origins())
            if self._writer is None:
                self.part.replace(self.path)
            else:
                self._writer(self.path, self._rows)
            self._part_card.replace(card_path(self.path))
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); {self.part} holds what is "
                "done, go on with --resume"
            ) from error
        self._remove_part()
        return True

    def _rows(self) -> Iterator[Named]:
        return (line.named for line in read_part_lines(self.part))

    def _origins(self) -> Iterator[Origin]:
        return (line.origin for line in read_part_lines(self.part))

    def _remove_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self._part_card.unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # What lies there is the other's: it is not ours to remove at the end.
            os.close(self._fd)
            self._fd = -1
            raise ResultBusyError(
                f"{self.part}: another rtfbench is writing it; wait for it, or choose another "
                "--result"
            ) from None

    def _check_same(self, path: Path, begun: Card | None, setup: ExtractionSetup) -> None:
        """Refuse to mix embeddings of different models, settings or lists in one result."""
        if begun is None:
            # One that is damaged may be that of another model.
            if card := next((each for each in _places(path) if each.exists()), None):
                raise InputError(
                    f"{card}: is damaged, and nothing else tells what {path} was computed with; "
                    "start again with --overwrite, or delete it if you know"
                )
            return  # nothing is known of it; the length of its embeddings is checked all the same
        different = begun.differences(setup)
        if self._list_sha256 and begun.list_sha256 != self._list_sha256:
            different.append(f"list {begun.list_sha256[:12]}, not {self._list_sha256[:12]}")
        if different:
            raise InputError(
                f"{path}: was begun with {'; '.join(different)}; take the same, "
                "or start again with --overwrite"
            )

    def _sort(self, names: Iterable[str]) -> None:
        """Bring the part's lines into the order of the list."""
        present = Present(self.part)
        with (
            replacing(self.part) as sorted_part,
            self.part.open("rb") as lines,
            sorted_part.open("wb") as file,
        ):
            for name in names:
                offset = present.offset(name)
                if offset is not None:
                    lines.seek(offset)
                    file.write(lines.readline())
            file.flush()
            os.fsync(file.fileno())


def _origins_of(path: Path) -> Iterator[Origin]:
    """Yield where the embeddings of a finished result are from, as far as it tells."""
    if path.suffix.lower() == embeddings.PARQUET:
        return read_parquet_origins(path)
    return read_origins(origins_path(path))


def _mend(part: Path, fd: int) -> None:
    """Cut off a last line that the end of the program left incomplete."""
    size = complete = os.fstat(fd).st_size
    with part.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                complete = size - len(line)
    if complete != size:
        os.ftruncate(fd, complete)


def part_bytes_of(part_size: str | None, result: Path | None) -> int | None:
    """Return how large the parts of a result are, None where it is one file.

    Raises:
        InputError: it is no size, or the result is of a kind that has no parts.
    """
    if part_size is None:
        return None
    if result is None:
        raise InputError("--part-size needs --result: it is about a file")
    part_bytes = parse_size(part_size, "--part-size")
    embeddings.writer_for(result, part_bytes)
    return part_bytes
