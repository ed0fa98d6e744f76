"""The recordings of an extraction, counted and taken one at a time, and those still missing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import InputError
from bench.extract.present import Present
from frontends.find import Utterance, check_list, find_audio, read_list


@dataclass(frozen=True)
class Listing:
    """Utterances in their order; every call reads them anew."""

    count: int
    utterances: Callable[[], Iterator[Utterance]]

    def names(self) -> Iterator[str]:
        """Yield the names."""
        return (utterance.name for utterance in self.utterances())


def from_list(scp: Path) -> Listing:
    """Return the entries of a Kaldi list of any length.

    Raises:
        AudioError: a line cannot be followed, or two have one name.
    """
    return Listing(check_list(scp), lambda: read_list(scp))


def from_paths(paths: Sequence[Path]) -> Listing:
    """Return files and folders as utterances; a blank in a name becomes `_`, as Kaldi needs.

    Raises:
        AudioError: a folder holds no audio, or two utterances have one name.
        InputError: two have one name without the blanks.
    """
    found = [
        Utterance("_".join(utterance.name.split()), utterance.path)
        for utterance in find_audio(paths)
    ]
    first: dict[str, Utterance] = {}
    for utterance in found:
        other = first.setdefault(utterance.name, utterance)
        if other is not utterance:
            raise InputError(
                f"{other.path} and {utterance.path} would both be {utterance.name!r}; rename one"
            )
    return Listing(len(found), lambda: iter(found))


class Todo:
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
