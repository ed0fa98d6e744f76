"""A small Python program that is run on another host, through OpenSSH's own client.

The program and what it is asked travel on standard input, so that no name of anything is part of
the line that the host's shell reads. It answers in lines of JSON, and with files' bytes.
"""

import json
import os
import select
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from rtfbench.base.child import last_said
from rtfbench.base.errors import InputError

#: Begins each line of an answer: what a host's shell prints of itself is none.
MARK = b"rtfbench:"
#: The user's configuration says the rest: nobody is there to type a password at a reconnection.
OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ClearAllForwardings=yes")
#: The program says something at least every ten seconds; a connection that is so quiet is lost.
SILENCE_S = 60.0
#: How long to wait for an answer before the caller may do something else.
TICK_S = 0.5
#: Reads and runs the program, in any Python 3.
BEGIN = (
    "import sys;v=sys.version_info;"
    'v<(3,11) and sys.exit("its Python is %d.%d, and rtfbench needs 3.11 or newer; name another '
    'with --remote-python"%v[:2]);'
    'd=sys.stdin.buffer;s=d.read(int(d.readline()));exec(compile(s,"rtfbench","exec"),'
    '{"__name__":"__main__","SOURCE":s})'
)
PIECE_BYTES = 1 << 16
#: What ssh itself ends with where there is no connection, and shells where there is no program.
NO_CONNECTION, NO_PROGRAM = 255, (126, 127)


class ConnectionLostError(Exception):
    """There is no connection, or there is none any more; one line with what ssh said."""


class RemoteHost:
    """A host that ssh reaches, as the user's configuration says."""

    def __init__(self, address: str, python: str, program: bytes) -> None:
        """Connect to nothing yet; a Python there will run the program, of this source.

        The address is as ssh takes it: `board`, `user@board`, `ssh://user@board:2222`.

        Raises:
            InputError: it is no address.
        """
        if not address or address.startswith("-") or not address.isprintable() or " " in address:
            raise InputError(f"--host {address!r}: is no address; name a host as ssh takes it")
        self.address, self._python, self._program = address, python, program

    def ask(
        self, request: dict[str, Any], payload: Sequence[tuple[Path, int]] = ()
    ) -> Iterator[dict[str, Any] | None]:
        """Run the program on a request, and yield its answers; None where there is none yet.

        Files follow the request, each from a byte on. An answer with a `size` has so many bytes
        more, which are its `bytes`. Whoever reads no further ends the program, but not what it has
        started.

        Raises:
            InputError: the host refuses, or has no such Python; one line with its name.
            ConnectionLostError: no connection.
        """
        line = shlex.join([self._python, "-c", BEGIN])
        with TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    ["ssh", *OPTIONS, "--", self.address, line],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    # Ctrl-C is for this process, which ends its connections itself.
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise InputError("--host needs OpenSSH's program ssh; install it") from None
            try:
                head = f"{len(self._program)}\n".encode() + self._program
                asked = head + json.dumps(request).encode() + b"\n"
                yield from _answers(process, chain([asked], _pieces(payload)))
                self._check(process, said)
            finally:
                _end(process)

    def _check(self, process: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
        """Raise what a connection ended with, unless it is well."""
        try:
            status = process.wait(SILENCE_S)
        except subprocess.TimeoutExpired:
            raise ConnectionLostError("ssh does not end") from None
        if status == 0:
            return
        said.seek(0)
        told = last_said(said.read().decode(errors="replace"))
        if status in NO_PROGRAM:
            raise InputError(
                f"{self.address}: {self._python} cannot be run there; install Python 3.11 or "
                "newer, or name one with --remote-python"
            )
        if status == NO_CONNECTION or status < 0 or status > 128:
            raise ConnectionLostError(told or "ssh says nothing")
        raise InputError(f"{self.address}: {told or f'status {status}'}")


def _answers(
    process: "subprocess.Popen[bytes]", given: Iterator[bytes]
) -> Iterator[dict[str, Any] | None]:
    """Send what is given, and yield answers until the program has said all; None now and then."""
    assert process.stdin is not None
    assert process.stdout is not None
    to, come = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(to, False)
    unsent, got, heard_s = b"", b"", time.monotonic()
    while True:
        unsent = unsent or next(given, b"")
        ready, free, _ = select.select([come], [to] if unsent else [], [], TICK_S)
        if free:
            with suppress(BlockingIOError):
                try:
                    unsent = unsent[os.write(to, unsent) :]
                except BrokenPipeError:  # it ended; it says why
                    unsent, given = b"", iter(())
        if ready:
            piece = os.read(come, PIECE_BYTES)
            if not piece:
                return
            complete, got = _split(got + piece)
            yield from complete
        if ready or free:
            heard_s = time.monotonic()
        elif time.monotonic() - heard_s > SILENCE_S:
            raise ConnectionLostError(f"nothing was heard for {SILENCE_S:g} s")
        yield None


def _split(got: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Return the answers that are complete, and what is left behind them."""
    found = []
    while b"\n" in got:
        line, _, rest = got.partition(b"\n")
        if line.startswith(MARK):
            answer = json.loads(line[len(MARK) :])
            if "size" in answer:
                if len(rest) < answer["size"]:
                    break
                answer["bytes"], rest = rest[: answer["size"]], rest[answer["size"] :]
            found.append(answer)
        got = rest
    return found, got


def _pieces(files: Sequence[tuple[Path, int]]) -> Iterator[bytes]:
    """Yield what files hold, one after the other, each from a byte on."""
    for path, offset in files:
        with path.open("rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE_BYTES):
                yield piece


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a connection; the program there is ended by the end of its input."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    if process.poll() is None:
        # Not killed: ssh ends its ProxyCommand itself.
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
