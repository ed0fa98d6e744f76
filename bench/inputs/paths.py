"""Recordings and folders that are named one by one."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from bench.base.errors import InputError
from bench.inputs.listing import Listing
from frontends.addresses import Address, Place
from frontends.find import Utterance, find_audio, utterance_name


def from_paths(paths: Sequence[Place]) -> Listing:
    """Return files and folders as utterances; a blank in a name becomes `_`, as Kaldi needs.

    Raises:
        AudioError: a folder holds no audio, or two utterances have one name.
        InputError: two have one name without the blanks.
    """
    found = [
        replace(utterance, name=utterance_name(utterance.name)) for utterance in find_audio(paths)
    ]
    first: dict[str, Utterance] = {}
    digest = hashlib.sha256()
    for utterance in found:
        other = first.setdefault(utterance.name, utterance)
        if other is not utterance:
            raise InputError(
                f"{other.path} and {utterance.path} would both be {utterance.name!r}; rename one"
            )
        place = utterance.path
        where = place.url if isinstance(place, Address) else str(place)
        digest.update(f"{utterance.name}\0{where}\n".encode(errors="surrogateescape"))
    return Listing(
        count=len(found),
        sha256=digest.hexdigest(),
        read=lambda begin, stop: islice(found, begin, stop),
        names=lambda: iter(first),
    )
