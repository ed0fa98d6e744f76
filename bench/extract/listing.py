"""The recordings of an extraction that a result still lacks."""

from collections.abc import Iterator

from bench.base.errors import InputError
from bench.extract.present import Present
from bench.inputs.listing import Listing
from frontends.find import Utterance


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
