"""Utterances that are no file of their own: a stretch of one, bytes in one, a command's output."""

import io
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO, Any, Literal
from weakref import finalize

import numpy as np
import numpy.typing as npt

from rtfbench.base.child import last_said
from rtfbench.engines.processes import ending_with_parent
from rtfbench.frontends.addresses import Address, Place, open_ranges, regular
from rtfbench.frontends.audio import audio_error, read_blocks

#: What a command may take.
COMMAND_TIMEOUT_S = 300.0
_SHELL = "|&;<>()"


#: A column of a Parquet file by its name, a part of one by both names.
Column = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Where an utterance is in what its path names.

    Attributes:
        offset: Where its audio file begins, in bytes, within an archive.
        num_bytes: How long that file is; None where the path is the audio file.
        kind: What is at the offset where that is no file of `num_bytes`: `sparse`, the header of
            a tar file's member with its holes left out, or `wave`, a WAV file that tells its size.
        more: Further stretches of the audio that belong to the utterance, in seconds.
        begin_s: Where the utterance begins in the audio, in seconds.
        end_s: Where it ends; None for the end of the audio.
        command: Stages of programs and arguments whose output is the audio file.
        column: The column of a Parquet file that holds audio files; the utterance's is in this
            `row` of this `row_group`.
        channel: The channel of the audio file, from 0, where the list tells; it goes before
            what the reader would choose.
    """

    offset: int = 0
    num_bytes: int | None = None
    kind: Literal["", "sparse", "wave"] = ""
    more: tuple[tuple[float, float], ...] = ()
    begin_s: float = 0.0
    end_s: float | None = None
    command: tuple[tuple[str, ...], ...] = ()
    column: Column = ()
    row_group: int = 0
    row: int = 0
    channel: int | None = None

    def open(self, path: Place) -> IO[bytes] | None:
        """Return the audio file as a stream that can be sought, None where the path is it.

        Raises:
            AudioError: The archive is cut off, the command failed or took too long, or an address
                cannot be read.
        """
        if self.command:
            return io.BytesIO(_output(path, self.command))
        try:
            if self.column:
                content = _column(path, self.row_group, self.column)[self.row].as_py()
                if content is None:
                    where = f"row {self.row} of group {self.row_group}"
                    raise audio_error(path, f"has no audio in {where}")
                return io.BytesIO(content)
            if self.kind == "wave":
                return _wave(path, self.offset)
            if self.num_bytes is None:
                return path.copied().open("rb") if isinstance(path, Address) else None
            if self.kind == "sparse":
                return _sparse(path, self.offset)
            if isinstance(path, Address):
                return io.BytesIO(path.read_range(self.offset, self.offset + self.num_bytes))
            with open_ranges(path) as archive:
                archive.seek(self.offset)
                content = archive.read(self.num_bytes)
        except FileNotFoundError as error:
            raise audio_error(path, "does not exist; check the path") from error
        except OSError as error:
            raise audio_error(path, f"cannot be read ({error.strerror or error})") from error
        if len(content) < self.num_bytes:
            raise audio_error(path, "is cut off; copy it again")
        return io.BytesIO(content)


def read_part(
    path: Place,
    part: Part | None,
    *,
    sample_rate_hz: int = 16000,
    channel: int | None = None,
    resample: bool = False,
    told_rate: Callable[[int], None] | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield an utterance's blocks, float32[N] in int16 scale; without a part, a whole file's.

    Raises:
        AudioError: As `read_blocks` and `Part.open`.
    """
    part = part or Part()
    for begin_s, end_s in ((part.begin_s, part.end_s), *part.more):
        file = part.open(path)
        with nullcontext() if file is None else closing(file):
            yield from read_blocks(
                path,
                sample_rate_hz=sample_rate_hz,
                channel=channel if part.channel is None else part.channel,
                resample=resample,
                file=file,
                begin_s=begin_s,
                end_s=end_s,
                told_rate=told_rate,
            )


def parse_command(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the stages of `sox x.sph -t wav - |`, as no shell is asked to.

    Raises:
        ValueError: It is not a chain of plain commands.
    """
    words = shlex.shlex(text, posix=True, punctuation_chars=_SHELL)
    words.whitespace_split, words.commenters = True, ""
    stages: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            stages.append([])
        elif set(word) <= set(_SHELL) or "`" in word or "$" in word:
            raise ValueError(f"{word!r} needs a shell, and commands run without one")
        else:
            stages[-1].append(word)
    *before, behind = stages
    if behind or not before or not all(before):
        raise ValueError("need: COMMAND ARGUMENTS |")
    return tuple(map(tuple, before))


def open_parquet(path: Place) -> Any:
    """Return a Parquet file, a context.

    Raises:
        AudioError: It is missing or damaged, or pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        cure = "install it with: pip install 'rtfbench[parquet]'"
        raise audio_error(path, f"reading it needs pyarrow; {cure}") from error
    try:
        # pyarrow would wait for a FIFO's writer, deaf to every signal.
        source = open_ranges(path) if isinstance(path, Address) else regular(path)
        return pyarrow.parquet.ParquetFile(source)
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise audio_error(path, f"cannot be read as Parquet ({error})") from error


def _wave(path: Place, offset: int) -> IO[bytes]:
    """Return a WAV file within Kaldi's archive, which goes as far as it says."""
    with open_ranges(path) as archive:
        archive.seek(offset)
        head = archive.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            raise audio_error(path, f"holds no WAV file at byte {offset}; write the list anew")
        size = int.from_bytes(head[4:], "little")
        content = head + archive.read(size)
    if len(content) < 8 + size:
        raise audio_error(path, "is cut off; copy it again")
    return io.BytesIO(content)


def _sparse(path: Place, offset: int) -> IO[bytes]:
    """Return a file of a tar file that was packed without its holes, which are zeros again."""
    archive = open_ranges(path)
    try:
        archive.seek(offset)
        tar = tarfile.TarFile(fileobj=archive)
        member = tar.next()
        file = tar.extractfile(member) if member is not None else None
        if file is None:
            raise tarfile.ReadError("no file is there")
    except tarfile.TarError as error:
        archive.close()
        raise audio_error(path, f"is not what it was when it was listed ({error})") from error
    finalize(file, archive.close)
    return file


@lru_cache(maxsize=1)
def _column(path: Place, row_group: int, column: Column) -> Any:
    """Return a column of a row group: neighbours in a list are, and are read together."""
    with open_parquet(path) as file:
        return within(file.read_row_group(row_group, columns=[".".join(column)]), column)


def within(table: Any, column: Column) -> Any:
    """Return the values of a column, or of a part of it."""
    from pyarrow import compute

    values = table.column(column[0])
    return compute.struct_field(values, column[1]) if len(column) > 1 else values


def _output(name: Place, stages: tuple[tuple[str, ...], ...]) -> bytes:
    """Run a chain of commands, each reading from the one before, and return what the last wrote.

    Raises:
        AudioError: One of them is missing, failed, or took too long; the message says which.
    """
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    with ExitStack() as stack:
        running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []
        output: IO[bytes] | None = None
        for stage in stages:
            log: IO[bytes] = stack.enter_context(TemporaryFile())
            try:
                process = subprocess.Popen(
                    stage,
                    stdin=output or subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    preexec_fn=ending_with_parent(),
                )
            except OSError as error:
                reason = f"{stage[0]} cannot be run ({error.strerror}); install it"
                raise audio_error(name, reason) from error
            stack.callback(process.wait)
            stack.callback(process.kill)
            if output is not None:
                output.close()  # it ends when its reader does
            running.append((stage[0], process, log))
            output = process.stdout
        try:
            content, _ = process.communicate(timeout=COMMAND_TIMEOUT_S)
            for _, process, _ in running:
                process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired as error:
            raise audio_error(name, f"took more than {COMMAND_TIMEOUT_S:g} s") from error
        for program, process, log in running:
            if process.returncode:
                log.seek(0)
                said = last_said(log.read().decode(errors="replace"))
                told = f"{program} failed ({process.returncode})" + (f": {said}" if said else "")
                raise audio_error(name, told)
    return content
