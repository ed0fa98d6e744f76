"""A list of utterances of any length: counted, named, and read a part at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from rtfbench.base.cache import sha256_of
from rtfbench.frontends.addresses import Address, Place
from rtfbench.inputs.find import Utterance


def content_sha256(*places: Place) -> str:
    """Return the SHA-256 of what lists hold.

    Raises:
        OSError: one cannot be read.
    """
    return sha256_of(*(each.copied() if isinstance(each, Address) else each for each in places))


@dataclass(frozen=True)
class Listing:
    """Utterances in their order; every call reads them anew.

    Attributes:
        count: how many there are.
        sha256: of all that decides which utterances there are, and how long they are said to be.
        read: yields those from one place up to another, counted from 0.
        names: yields all names, without a look at what is behind them.
        notes: what a user has to know of it, a line each.
        lengths: yields how long each is in seconds, None where the list does not tell; there is
            no such function where it never does.
    """

    count: int
    sha256: str
    read: Callable[[int, int], Iterator[Utterance]]
    names: Callable[[], Iterator[str]]
    lengths: Callable[[], Iterator[float | None]] | None = None
    notes: tuple[str, ...] = ()

    def utterances(self) -> Iterator[Utterance]:
        """Yield all of them."""
        return self.read(0, self.count)

    def part(self, first: int, stop: int) -> "Listing":
        """Return those from one place up to another, as a list of its own."""
        whole = self
        return Listing(
            count=stop - first,
            sha256=whole.sha256,
            read=lambda begin, end: whole.read(first + begin, min(first + end, stop)),
            names=lambda: islice(whole.names(), first, stop),
            notes=whole.notes,
        )
