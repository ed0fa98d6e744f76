"""The recordings of an extraction: counted beforehand, then taken one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import InputError
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
