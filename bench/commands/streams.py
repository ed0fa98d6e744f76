"""Standard streams as a command needs them: closed ones are opened, and complaints never end it."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

SAID_IN_VAIN = "rtfbench: standard output is closed; open it, or name /dev/null"


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
