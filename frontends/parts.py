"""Utterances that are no file of their own: a stretch of one, bytes in one, a command's output."""

import ctypes
import io
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from frontends.addresses import Address, Place, open_ranges
from frontends.audio import audio_error, read_blocks

#: What a command may take.
COMMAND_TIMEOUT_S = 300.0
_SHELL = "|&;<>()"
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec a child may do next to nothing.
_prctl = ctypes.CDLL(None).prctl


@dataclass(frozen=True)
class Part:
    """Where an utterance is in what its path names.

    Attributes:
        offset: Where its audio file begins, in bytes, within an archive.
        num_bytes: How long that file is; None where the path is the audio file.
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
    begin_s: float = 0.0
    end_s: float | None = None
    command: tuple[tuple[str, ...], ...] = ()
    column: str = ""
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
            if self.num_bytes is None:
                return path.copied().open("rb") if isinstance(path, Address) else None
            if isinstance(path, Address):
                return io.BytesIO(path.read_range(self.offset, self.offset + self.num_bytes))
            with path.open("rb") as archive:
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
    path: Place, part: Part | None, *, channel: int | None = None, resample: bool = False
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield an utterance's blocks, float32[N] in int16 scale; without a part, a whole file's.

    Raises:
        AudioError: As `read_blocks` and `Part.open`.
    """
    part = part or Part()
    file = part.open(path)
    with nullcontext() if file is None else closing(file):
        yield from read_blocks(
            path,
            channel=channel if part.channel is None else part.channel,
            resample=resample,
            file=file,
            begin_s=part.begin_s,
            end_s=part.end_s,
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
        source = open_ranges(path) if isinstance(path, Address) else path
        return pyarrow.parquet.ParquetFile(source)
    except FileNotFoundError as error:
        raise audio_error(path, "does not exist; check the path") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise audio_error(path, f"cannot be read as Parquet ({error})") from error


@lru_cache(maxsize=1)
def _column(path: Place, row_group: int, column: str) -> Any:
    """Return a column of a row group: neighbours in a list are, and are read together."""
    with open_parquet(path) as file:
        outer, _, inner = column.partition(".")
        values = file.read_row_group(row_group, columns=[column]).column(outer).combine_chunks()
        return values.field(inner) if inner else values


def _ending_with_parent() -> Callable[[], None]:
    """Return what has the kernel end a command when we end: one that waits would stay for ever.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    parent = os.getpid()

    def ask_the_kernel() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def _output(name: Place, stages: tuple[tuple[str, ...], ...]) -> bytes:
    """Run a chain of commands, each reading from the one before, and return what the last wrote.

    Raises:
        AudioError: One of them is missing, failed, or took too long; the message says which.
    """
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    with ExitStack() as stack:
        running: list[subprocess.Popen[bytes]] = []
        logs: list[IO[bytes]] = []
        for stage in stages:
            before = running[-1].stdout if running else subprocess.DEVNULL
            logs.append(stack.enter_context(TemporaryFile()))
            try:
                process = subprocess.Popen(
                    stage,
                    stdin=before,
                    stdout=subprocess.PIPE,
                    stderr=logs[-1],
                    preexec_fn=_ending_with_parent(),
                )
            except OSError as error:
                reason = f"{stage[0]} cannot be run ({error.strerror}); install it"
                raise audio_error(name, reason) from error
            stack.callback(process.wait)
            stack.callback(process.kill)
            if running and running[-1].stdout is not None:
                running[-1].stdout.close()  # it ends when its reader does
            running.append(process)
        try:
            output, _ = running[-1].communicate(timeout=COMMAND_TIMEOUT_S)
            for process in running:
                process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired as error:
            raise audio_error(name, f"took more than {COMMAND_TIMEOUT_S:g} s") from error
        for stage, process, log in zip(stages, running, logs, strict=True):
            if process.returncode:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()
                more = f": {said[-1]}" if said else ""
                raise audio_error(name, f"{stage[0]} failed ({process.returncode}){more}")
    return output
