"""From what a user names to utterances; a file tells its format by ending and first line."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from bench.base.errors import InputError
from bench.base.scratch import process_folder
from bench.inputs.json_lines import from_json_lines
from bench.inputs.kaldi import from_scp, from_segments
from bench.inputs.listing import Listing
from bench.inputs.parquet import from_parquet
from bench.inputs.paths import from_paths
from bench.inputs.tars import from_tar, from_tar_list
from frontends.addresses import AddressError, Place
from frontends.audio import AudioError, audio_error
from frontends.find import numbered_lines

KNOWN = (
    "JSON lines (WeSpeaker's raw.list, NeMo's manifest, lhotse's cuts.jsonl.gz), a list of tar "
    "files (WeSpeaker's shard.list), a tar file (WebDataset) or a .parquet file (Hugging Face)"
)


def from_file(path: Place) -> Listing:
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
        return from_json_lines(path)
    if first.lower().endswith(".tar"):
        return from_tar_list(path)
    raise audio_error(path, f"is none of: {KNOWN}; a Kaldi list goes with --wav-scp")


@dataclass(frozen=True)
class Inputs:
    """What a user named: a Kaldi list, a file of another format, or recordings and folders."""

    wav_scp: Place | None = None
    segments: Place | None = None
    allow_pipes: bool = False
    file: Place | None = None
    wavs: Sequence[Place] = ()

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
        if self.wav_scp is None and (self.segments or self.allow_pipes):
            raise InputError(
                "--segments and --allow-pipes need --wav-scp: they are about its lines"
            )
        with _readable(self.wav_scp) as scp, _readable(self.file) as file:
            try:
                listing = self._listing(scp, file)
            except AudioError as error:
                raise InputError(str(error)) from error
            except AddressError as error:  # one that could be read a moment ago
                raise InputError(f"{scp or file}: cannot be read ({error})") from error
            yield listing

    def _listing(self, scp: Place | None, file: Place | None) -> Listing:
        if file is not None:
            return from_file(file)
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
