"""Tar files of recordings: WebDataset's, and those that WeSpeaker's `shard.list` names."""

import tarfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from bench.base.cache import fingerprint
from bench.inputs.listing import Listing
from frontends.addresses import Place, open_ranges, place_of, size_bytes
from frontends.audio import audio_error
from frontends.find import (
    AUDIO_ENDINGS,
    Utterance,
    check_names,
    located,
    numbered_lines,
    utterance_name,
)
from frontends.parts import Part


def from_tar(path: Place) -> Listing:
    """Return the audio files in a tar file; each is named by its path without the ending.

    Raises:
        AudioError: as `from_tars`.
    """
    return _from_tars(path, [path])


def from_tar_list(path: Place) -> Listing:
    """Return the audio files in all of the tar files that a list names, one a line.

    Raises:
        AudioError: as `from_tars`, or the list cannot be read.
    """
    return _from_tars(path, [located(place_of(line), path) for _, line in numbered_lines(path)])


def _from_tars(where: Place, tars: Sequence[Place]) -> Listing:
    """Return the audio files in tar files, in their order; headers are read, contents passed over.

    Raises:
        AudioError: one is missing, packed or damaged, two recordings have one name, or there are
            none.
    """

    def members() -> Iterator[Utterance]:
        return chain.from_iterable(map(_members, tars))

    def names() -> Iterator[str]:
        return (each.name for each in members())

    count = check_names(where, lambda: enumerate(names(), start=1), "recordings")
    if not count:
        raise audio_error(where, f"holds no audio; looked for {' '.join(sorted(AUDIO_ENDINGS))}")
    sizes = [f"{tar.name} {size_bytes(tar)}" for tar in tars]
    return Listing(
        count=count,
        sha256=fingerprint((), (), *sizes, str(count)),
        read=lambda first, stop: islice(members(), first, stop),
        names=names,
    )


def _members(path: Place) -> Iterator[Utterance]:
    """Yield the audio files of a tar file."""
    try:
        # Not packed: a worker goes straight to where a recording begins.
        with open_ranges(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # it would remember every one
                name = Path(member.name)
                if member.isfile() and name.suffix.lower() in AUDIO_ENDINGS:
                    part = Part(offset=member.offset_data, num_bytes=member.size)
                    yield Utterance(utterance_name(name.with_suffix("").as_posix()), path, part)
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except tarfile.TarError as error:
        cure = "a packed one has to be unpacked first, with gunzip for example"
        raise audio_error(path, f"cannot be read as a tar file ({error}); {cure}") from error
    except OSError as error:
        raise audio_error(path, f"cannot be read ({error.strerror or error})") from error
