"""What a command gets from whoever started it: standard streams, and signals.

Closed streams are opened, and complaints never end a command. A signal is an interruption: what is
done is kept, and the exit status says which signal it was.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from types import FrameType

from rtfbench.base.interruption import SIGNALS

SAID_IN_VAIN = "rtfbench: standard output is closed; open it, or name /dev/null"
#: What shells add to a signal's number.
STATUS_BASE = 128


class Told(TextIOWrapper):
    """Standard error: what cannot be written (a full disk, a log's reader that left) is lost.

    The work goes on: hours of measuring are worth more than what is said about them.
    """

    def write(self, text: str, /) -> int:
        """Write as far as that is possible."""
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is left as far as that is possible."""
        with suppress(OSError):
            super().flush()


def prepare() -> None:
    """Make the streams usable, whatever a parent left of them.

    Raises:
        SystemExit: standard output is closed, status 2.
    """
    output_is_closed = sys.stdout is None
    for fd in range(3):
        # A file that is opened later must not get the number, and all that runtimes print.
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    if sys.stderr is sys.__stderr__:  # another is somebody's who called us
        file = os.fdopen(2, "wb", closefd=False)
        sys.stderr = Told(file, "utf-8", "backslashreplace", line_buffering=True)
    if output_is_closed:
        print(SAID_IN_VAIN, file=sys.stderr)
        sys.exit(2)


def silence_output() -> None:
    """Keep Python from complaining once more when it flushes standard output at its end."""
    with suppress(OSError):  # one that has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Interruption:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def status(self) -> int:
        """The exit status that says so."""
        return STATUS_BASE + self.number

    def take(self, number: int, _: FrameType | None) -> None:
        """Interrupt at the first signal; at the second, end at once. Workers end with us."""
        if self.number:
            os._exit(STATUS_BASE + number)
        self.number = number
        raise KeyboardInterrupt


@contextmanager
def as_interruption() -> Iterator[Interruption]:
    """Turn signals into `KeyboardInterrupt` for a while; those that are ignored stay so."""
    found = Interruption()
    before = {
        number: handler
        for number in SIGNALS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, found.take)
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
