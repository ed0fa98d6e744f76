"""From what a user names to utterances; a file tells its format by ending and first line."""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from rtfbench.base.errors import InputError
from rtfbench.base.scratch import process_folder
from rtfbench.frontends.addresses import Address, AddressError, Place, place_of
from rtfbench.frontends.audio import AudioError, audio_error
from rtfbench.inputs.find import (
    Listing,
    Utterance,
    find_audio,
    located,
    numbered_lines,
    utterance_name,
)
from rtfbench.inputs.json_lines import from_json_lines
from rtfbench.inputs.kaldi import from_scp, from_segments
from rtfbench.inputs.parquet import from_parquet
from rtfbench.inputs.tars import from_tar


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


KNOWN = (
    "JSON lines (WeSpeaker's raw.list, NeMo's manifest, lhotse's cuts.jsonl.gz), a list of tar "
    "files (WeSpeaker's shard.list), a tar file (WebDataset) or a .parquet file (Hugging Face)"
)


def from_file(path: Place, *, allow_pipes: bool = False) -> Listing:
    """Return the utterances of a file in any of the known formats.

    Raises:
        AudioError: it is none of them, or damaged.
    """
    if path.suffix.lower() == ".tar":
        return from_tar(path)
    if path.suffix.lower() == ".parquet":
        return from_parquet(path)
    _, first = next(numbered_lines(path), (0, ""))
    if first.startswith("{"):
        return from_json_lines(path, allow_pipes=allow_pipes)
    if first.lower().endswith(".tar"):
        return from_tar(path, [located(place_of(line), path) for _, line in numbered_lines(path)])
    raise audio_error(path, f"is none of: {KNOWN}; a Kaldi list goes with --wav-scp")


@dataclass(frozen=True)
class Inputs:
    """What a user named: a Kaldi list, a file of another format, or recordings and folders."""

    wav_scp: Place | None = None
    segments: Place | None = None
    allow_pipes: bool = False
    file: Place | None = None
    wavs: Sequence[Place] = ()

    def __str__(self) -> str:
        """Say what is read."""
        named = self.segments or self.wav_scp or self.file
        if named is not None:
            return "standard input" if named == Path("-") else str(named)
        first, more = next(iter(self.wavs), ""), len(self.wavs) - 1
        return f"{first} and {more} more" if more > 0 else str(first)

    @contextmanager
    def opened(self) -> Iterator[Listing]:
        """Yield the utterances that it stands for.

        Raises:
            InputError: it cannot be used, or it is not one thing.
        """
        if [self.wav_scp is None, self.file is None, not self.wavs].count(False) != 1:
            raise InputError(
                "name recordings with --input FILE, with --wav-scp LIST or with --wav PATH, one of "
                "the three"
            )
        if self.wav_scp is None and self.segments:
            raise InputError("--segments needs --wav-scp: it is about its lines")
        if self.allow_pipes and self.wavs:
            raise InputError("--allow-pipes needs --wav-scp or --input: it is about their lines")
        with _readable(self.wav_scp) as scp, _readable(self.file) as file:
            try:
                # Whoever reads it later may find that it changed meanwhile.
                yield self._listing(scp, file)
            except AudioError as error:
                raise InputError(str(error)) from error
            except AddressError as error:  # one that could be read a moment ago
                raise InputError(f"{scp or file}: cannot be read ({error})") from error

    def _listing(self, scp: Place | None, file: Place | None) -> Listing:
        if file is not None:
            return from_file(file, allow_pipes=self.allow_pipes)
        if scp is None:
            return from_paths(self.wavs)
        if self.segments is not None:
            return from_segments(self.segments, scp, allow_pipes=self.allow_pipes)
        return from_scp(scp, allow_pipes=self.allow_pipes)


@contextmanager
def _readable(path: Place | None) -> Iterator[Place | None]:
    """Yield a path that can be read again and again; `-` is standard input, copied to a file."""
    if path != Path("-"):
        yield path
        return
    with TemporaryDirectory(dir=process_folder()) as folder:
        copy = Path(folder) / "standard-input"
        with copy.open("wb") as file:
            copyfileobj(sys.stdin.buffer, file)
        yield copy
