"""What a user names, as utterances: files, folders and Kaldi lists of any length."""

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from frontends.audio import audio_error

# File name endings that are taken from a folder. A file named by itself may have any.
# fmt: off
AUDIO_ENDINGS = frozenset({
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".nist",
    ".oga", ".ogg", ".opus", ".rf64", ".snd", ".sph", ".w64", ".wav",
})
# fmt: on


@dataclass(frozen=True)
class Utterance:
    """A name, unique among those found together, and the file behind it."""

    name: str
    path: Path


def find_audio(paths: Iterable[str | os.PathLike[str]]) -> tuple[Utterance, ...]:
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
    found = [candidate for path in paths for candidate in _expand(Path(path))]
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


def read_list(scp: Path, first: int = 0, stop: int | None = None) -> Iterator[Utterance]:
    """Yield the entries of a Kaldi list of `utterance path` lines, one at a time.

    A path may hold spaces and may lead from the present folder or, if nothing is there, from the
    list's. Blank lines, Windows line ends and a byte order mark are passed over.

    Args:
        scp: The list.
        first: The place of the first entry that is wanted, from 0.
        stop: The place behind the last one; None for all.

    Raises:
        AudioError: If the list cannot be read, or a line has no path or is a command.
    """
    for _, name, path in islice(_entries(scp), first, stop):
        beside = scp.parent / path
        # As in Kaldi first from here; a file in neither place keeps the path that was written.
        yield Utterance(name, beside if not Path(path).exists() and beside.exists() else Path(path))


def list_names(scp: Path) -> Iterator[str]:
    """Yield the names of a list, without a look at the files.

    Raises:
        AudioError: As `read_list`.
    """
    return (name for _, name, _ in _entries(scp))


def check_list(scp: Path) -> int:
    """Look through a whole list and return its number of entries; keeps 8 bytes of each.

    Raises:
        AudioError: As `read_list`, or if it names an utterance twice or none at all.
    """
    names = array("q", (hash(name) for _, name, _ in _entries(scp)))
    ordered = np.sort(np.frombuffer(names, np.int64))
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    first_line: dict[str, int] = {}
    for number, name, _ in _entries(scp) if suspects else ():
        if hash(name) in suspects and first_line.setdefault(name, number) != number:
            lines = f"lines {first_line[name]} and {number}"
            raise audio_error(scp, f"{lines} are both {name!r}; rename one")
    if not names:
        raise audio_error(scp, "names no audio; write lines: UTTERANCE PATH")
    return len(names)


def _expand(path: Path) -> Iterator[tuple[tuple[str, str, str], Path]]:
    """Yield (names from short to long, file) for everything that a path stands for."""
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if _looks_like_audio(each))
        if not files:
            raise audio_error(path, f"holds no audio; looked for {' '.join(sorted(AUDIO_ENDINGS))}")
        for file in files:
            yield (file.stem, file.relative_to(path).as_posix(), file.as_posix()), file
    elif path.suffix.lower() == ".scp":
        check_list(path)
        for entry in read_list(path):
            yield (entry.name, entry.name, entry.name), entry.path  # the list's names stay
    else:
        yield (path.stem, path.name, path.as_posix()), path


def _looks_like_audio(path: Path) -> bool:
    # Some systems leave hidden files such as ._a.wav beside the real ones.
    return path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".") and path.is_file()


def _entries(scp: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, name, path) of every line that is not blank."""
    try:
        with scp.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, *_entry(scp, number, line.strip())
    except UnicodeDecodeError as error:
        raise audio_error(scp, "is not UTF-8 text; save it as UTF-8") from error
    except FileNotFoundError as error:
        raise audio_error(scp, "does not exist; check the path") from error
    except OSError as error:
        raise audio_error(scp, f"cannot be read ({error.strerror})") from error


def _entry(scp: Path, number: int, line: str) -> tuple[str, str]:
    name, *others = line.split(maxsplit=1)
    if not others:
        raise audio_error(scp, f"line {number} has no path; write: UTTERANCE PATH")
    (path,) = others
    if path.endswith("|"):
        reason = "is a command, and commands are not run here"
        cure = "write its output to a file and name that"
        raise audio_error(scp, f"line {number} {reason}; {cure}")
    return name, path
