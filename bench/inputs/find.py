"""What a user names, as utterances: files, folders and Kaldi lists of any length.

A list is counted, named, and read a part at a time.
"""

import gzip
import os
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from rtfbench.base.cache import sha256_of
from rtfbench.base.numbers import repeated
from rtfbench.frontends.addresses import Address, Place, place_of
from rtfbench.frontends.audio import audio_error, printable
from rtfbench.inputs.parts import Part, parse_command

# File name endings that are taken from a folder. A file named by itself may have any.
# fmt: off
AUDIO_ENDINGS = frozenset({
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist",
    ".oga", ".ogg", ".opus", ".rf64", ".snd", ".sph", ".w64", ".wav",
})
# fmt: on


#: Why a list's command is not run.
NO_COMMANDS = (
    "is a command, and commands are not run but by extract --allow-pipes; use that if you trust "
    "the list, or write its output to a file and name that"
)
#: An entry of Kaldi's that is a recording within an archive.
IN_ARK = re.compile(r"(?P<path>.+\.ark):(?P<offset>\d+)")
#: No line of a list has so many characters.
MOST_LINE = 16 << 20


@dataclass(frozen=True)
class Utterance:
    """A name, unique among those found together, and the file behind it, here or at an address.

    Where it is not the whole file, the part says what it is of it. A fault is why there is no such
    file: its line in the list cannot be understood.
    """

    name: str
    path: Place
    part: Part | None = None
    fault: str = ""


def find_audio(paths: Iterable[str | os.PathLike[str] | Address]) -> tuple[Utterance, ...]:
    """Turn what a user names into utterances, in a repeatable order.

    A folder stands for the audio files in it, at any depth and sorted, a Kaldi `wav.scp`
    (any file that ends in .scp) for its entries, any other file for itself. A file is
    named by its stem; files that share a stem are named by their path in the folder,
    and if that is not enough by their path as given. A file that does not exist is an
    utterance too: reading it is what fails, and the others are not lost.

    Raises:
        AudioError: If a folder or list holds no audio, a list is malformed, or two
            utterances end up with the same name.
    """
    found = [candidate for path in paths for candidate in _expand(place_of(path))]
    level = [0] * len(found)
    for _ in range(2):
        count = Counter(names[i] for (names, _), i in zip(found, level, strict=True))
        for index, (names, _) in enumerate(found):
            level[index] += count[names[level[index]]] > 1
    utterances = [Utterance(names[i], path) for (names, path), i in zip(found, level, strict=True)]
    for name, times in Counter(utterance.name for utterance in utterances).items():
        if times > 1:
            path = next(each.path for each in utterances if each.name == name)
            raise audio_error(path, f"is one of {times} utterances named {name!r}; name each once")
    return tuple(utterances)


def read_list(
    scp: Place, first: int = 0, stop: int | None = None, *, allow_pipes: bool = False
) -> Iterator[Utterance]:
    """Yield the entries of a Kaldi list of `utterance path` lines, one at a time.

    A path may hold spaces and may lead from the present folder or, if nothing is there, from the
    list's. Blank lines, Windows line ends and a byte order mark are passed over, and a list that
    ends in .gz is unpacked.

    Args:
        scp: The list.
        first: The place of the first entry that is wanted, from 0.
        stop: The place behind the last one; None for all.
        allow_pipes: Whether an entry may be a command, `COMMAND |`.

    Raises:
        AudioError: If the list cannot be read, a line has no path, or is a command that cannot be
            run or is not allowed.
    """
    for number, name, path in islice(entries(scp, allow_pipes), first, stop):
        if path.endswith("|"):
            yield Utterance(name, Path(path), Part(command=command_of(scp, number, path)))
        elif found := IN_ARK.fullmatch(path):
            part = Part(offset=int(found["offset"]), kind="wave")
            yield Utterance(name, located(place_of(found["path"]), scp), part)
        else:
            yield Utterance(name, located(place_of(path), scp))


def check_list(scp: Place, *, allow_pipes: bool = False) -> int:
    """Look through a whole list and return its number of entries; keeps 8 bytes of each.

    Raises:
        AudioError: As `read_list`, or if it names an utterance twice or none at all.
    """

    def numbered() -> Iterator[tuple[int, str]]:
        for number, name, path in entries(scp, allow_pipes):
            if path.endswith("|"):
                command_of(scp, number, path)
            yield number, name

    count = check_names(scp, numbered)
    if not count:
        raise audio_error(scp, "names no audio; write lines: UTTERANCE PATH")
    return count


def check_names(
    where: Place, numbered: Callable[[], Iterable[tuple[int, str]]], what: str = "lines"
) -> int:
    """Return how many names there are; keeps 8 bytes of each.

    What yields each one's line and the name is called again where two may be alike.

    Raises:
        AudioError: If two are alike.
    """
    names = array("q", (hash(name) for _, name in numbered()))
    suspects = repeated(names)
    first_line: dict[str, int] = {}
    for number, name in numbered() if suspects else ():
        if hash(name) in suspects and first_line.setdefault(name, number) != number:
            both = f"{what} {first_line[name]} and {number}"
            raise audio_error(where, f"{both} are both {name!r}; rename one")
    return len(names)


def _expand(path: Place) -> Iterator[tuple[tuple[str, str, str], Place]]:
    """Yield (names from short to long, file) for everything that a path stands for."""
    if path.suffix.lower() == ".scp" and not (isinstance(path, Path) and path.is_dir()):
        check_list(path)
        for entry in read_list(path):
            if entry.part is not None:
                raise audio_error(
                    path, f"{entry.name} is within an archive, which extract alone reads"
                )
            yield (entry.name, entry.name, entry.name), entry.path  # the list's names stay
    elif isinstance(path, Address):
        yield (path.stem, path.name, str(path)), path
    elif path.is_dir():
        files = sorted(filter(_looks_like_audio, _files_in(path)))
        if not files:
            raise audio_error(path, f"holds no audio; looked for {' '.join(sorted(AUDIO_ENDINGS))}")
        for file in files:
            yield _names(file.stem, file.relative_to(path).as_posix(), file.as_posix()), file
    else:
        yield _names(path.stem, path.name, path.as_posix()), path


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of all in it; none that cannot be read is left out."""

    def refuse(error: OSError) -> None:
        raise audio_error(Path(error.filename), f"cannot be read ({error.strerror})") from error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def _names(*names: str) -> tuple[str, str, str]:
    """Return names as text: a file's may be none, and is told so when it is read."""
    short, middle, long = (printable(Path(name)) for name in names)
    return short, middle, long


def located(path: Place, list_path: Place) -> Place:
    """Return where a file is that a list names: seen from here, as in Kaldi, else from the list.

    One in neither place keeps the path that was written. Beside a list at an address there is no
    looking: what is not here is taken to be there.
    """
    if isinstance(path, Address):
        return path
    if isinstance(list_path, Address):
        return path if path.is_absolute() or _exists(path) else list_path.beside(path)
    beside = list_path.parent / path
    return beside if not _exists(path) and _exists(beside) else path


def utterance_name(text: str) -> str:
    """Return a text as an utterance's name, in which Kaldi's files allow no blanks."""
    return "_".join(text.split())


def _exists(path: Path) -> bool:
    """Say whether a path can be found; one that cannot be asked for fails when it is read."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _looks_like_audio(path: Path) -> bool:
    # Some systems leave hidden files such as ._a.wav beside the real ones.
    return path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".") and path.is_file()


def open_list(path: Place) -> TextIO:
    """Open a list, which may be packed by gzip, for reading line by line.

    Raises:
        AudioError: It is a device or a FIFO: lists are read again and again, and from a FIFO
            nothing may ever come.
        OSError: It cannot be read.
    """
    if isinstance(path, Address):
        path = path.copied()
    if path.exists() and not path.is_file() and not path.is_dir():
        cure = "write the list to one, or name - for standard input"
        raise audio_error(path, f"is no regular file; {cure}")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return path.open(encoding="utf-8-sig", newline="\n")


def numbered_lines(path: Place) -> Iterator[tuple[int, str]]:
    """Yield (number, line without its end) of every line that is not blank.

    Raises:
        AudioError: If the list cannot be read, or a line of it has no end.
    """
    try:
        with open_list(path) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MOST_LINE), ""), start=1):
                if len(line) == MOST_LINE:  # a packed one may go on for gigabytes
                    raise audio_error(path, f"line {number} is too long for a list; write it anew")
                if text := line.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise audio_error(path, "is not UTF-8 text; save it as UTF-8") from error
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise audio_error(path, f"cannot be read ({reason})") from error


def entries(scp: Place, allow_pipes: bool = False) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, name, path) of every line that is not blank."""
    for number, line in numbered_lines(scp):
        name, *others = line.split(maxsplit=1)
        if not others:
            raise audio_error(scp, f"line {number} has no path; write: UTTERANCE PATH")
        if others[0].endswith("|") and not allow_pipes:
            raise audio_error(scp, f"line {number} {NO_COMMANDS}")
        yield number, name, others[0]


def command_of(where: Place, number: int, text: str) -> tuple[tuple[str, ...], ...]:
    """Return the stages of a line's command.

    Raises:
        AudioError: If it cannot be run.
    """
    try:
        return parse_command(text)
    except ValueError as error:
        raise audio_error(where, f"line {number} is no command that can be run: {error}") from error


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
