"""Tar files of recordings: WebDataset's, and those that WeSpeaker's `shard.list` names."""

import hashlib
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO

from rtfbench.frontends.addresses import Place, open_ranges
from rtfbench.frontends.audio import audio_error, printable
from rtfbench.inputs.find import AUDIO_ENDINGS, Listing, Utterance, check_names, utterance_name
from rtfbench.inputs.parts import Part

#: What is read at once of what lies behind the end of a tar file.
BEHIND_BYTES = 1 << 20
#: Links that lead to links, at most.
MOST_LINKS = 40
#: Why a tar file is refused that has no end where there should be one.
TORN = "is damaged or cut off at byte {at}; copy it again"
JOINED = "holds more behind its end, as after cat a.tar b.tar; name both in a list, one a line"


def from_tar(path: Place, listed: Sequence[Place] = ()) -> Listing:
    """Return the audio files in a tar file; each is named by its path without the ending.

    Headers are read, contents passed over. Where such files are listed, in order, the path is that
    of the list.

    Raises:
        AudioError: one is missing, packed or damaged, two recordings have one name, or there are
            none.
    """

    def members() -> Iterator[Utterance]:
        return chain.from_iterable(map(_members, listed or (path,)))

    digests = []

    def numbered() -> Iterator[tuple[int, str]]:
        digest = hashlib.sha256()
        for number, each in enumerate(members(), start=1):
            digest.update(f"{each.path.name}\0{each.name}\0{each.part}\n".encode())
            yield number, each.name
        digests.append(digest.hexdigest())

    count = check_names(path, numbered, "recordings")
    if not count:
        raise audio_error(path, f"holds no audio; looked for {' '.join(sorted(AUDIO_ENDINGS))}")
    return Listing(
        count=count,
        sha256=digests[-1],
        read=lambda first, stop: islice(members(), first, stop),
        names=lambda: (each.name for each in members()),
    )


def _members(path: Place) -> Iterator[Utterance]:
    """Yield the audio files of a tar file."""
    targets: dict[str, tarfile.TarInfo] = {}
    for member in _headers(path):
        name = Path(member.name)
        if name.suffix.lower() not in AUDIO_ENDINGS or member.isdir():
            continue
        if (member.islnk() or member.issym()) and not targets:
            # Not before there is a link: a tar file without any is never held whole.
            targets = {posixpath.normpath(each.name): each for each in _headers(path)}
        file, part, fault = _followed(member, targets), None, ""
        if file is None:
            leads = f"{printable(name)} is no file in it but leads"
            leads += f" to {member.linkname}" if member.linkname else ""
            cure = "pack what it leads to, with tar --dereference"
            fault = str(audio_error(path, f"{leads}; {cure}"))
        elif file.issparse():  # one with holes has to be put together, from its header on
            part = Part(offset=file.offset, num_bytes=file.size, kind="sparse")
        else:
            part = Part(offset=file.offset_data, num_bytes=file.size)
        yield Utterance(utterance_name(printable(name.with_suffix(""))), path, part, fault)


def _followed(
    member: tarfile.TarInfo, targets: dict[str, tarfile.TarInfo]
) -> tarfile.TarInfo | None:
    """Return the file that a member is or leads to, None where it is none and leads to none."""
    for _ in range(MOST_LINKS):
        if member.isfile():
            return member
        # A hard link is named from the top of the tar file, a symbolic one from its own folder.
        folder = posixpath.dirname(member.name) if member.issym() else ""
        found = targets.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if not member.linkname or found is None:
            return None
        member = found
    return None


def _headers(path: Place) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar file, of any kind."""
    try:
        # Not packed: a worker goes straight to where a recording begins.
        with open_ranges(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # it would remember every one
                yield member
            _check_end(path, file, tar.offset)
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except tarfile.TarError as error:
        cure = "a packed one has to be unpacked first, with gunzip for example"
        raise audio_error(path, f"cannot be read as a tar file ({error}); {cure}") from error
    except OSError as error:
        raise audio_error(path, f"cannot be read ({error.strerror or error})") from error


def _check_end(path: Place, file: IO[bytes], at: int) -> None:
    """Refuse a tar file that is cut off: the reader of tar files takes any fault for the end."""
    file.seek(at)
    block = file.read(tarfile.BLOCKSIZE)
    if any(block) or 0 < len(block) < tarfile.BLOCKSIZE:
        raise audio_error(path, TORN.format(at=at))
    while behind := file.read(BEHIND_BYTES):
        if any(behind):
            raise audio_error(path, JOINED)
