"""The command line: parses, calls, and turns what went wrong into one line and a status.

Nothing heavy is imported before a command runs: `rtfbench --help` loads no numpy and no runtime.
A command is a module here, which registers with the application, and one in `bench.commands`,
which does the work.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper

from bench.base.errors import InputError

# Importing a command registers it.
from bench.cli import (  # noqa: F401
    cache,
    doctor,
    export,
    extract,
    gate,
    history,
    lists,
    merge,
    replay,
    report,
    run,
    score,
    verify,
)
from bench.cli.app import app
from bench.cli.signals import as_interruption


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; the console script `rtfbench`.

    Args:
        argv: the arguments, those of the process by default.
    """
    if sys.stdout is None or sys.stderr is None:
        sys.exit("rtfbench: standard output or standard error is closed" if sys.stderr else 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    with as_interruption() as interruption:
        try:
            _run(argv)
        except SystemExit:
            if interruption.number:
                sys.exit(interruption.status)
            raise
        except KeyboardInterrupt:
            sys.exit(interruption.status)


def _run(argv: Sequence[str] | None) -> None:
    """Run a command; what went wrong becomes one line and a status."""
    try:
        try:
            app(args=argv)
        finally:
            sys.stdout.flush()
    except InputError as error:
        print(f"rtfbench: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader, `head` for instance, has seen enough.
        _silence()
        sys.exit(0)
    except OSError as error:
        # A full disk, a folder that may not be written, a limit of the system.
        where = f"{error.filename}: " if error.filename else ""
        print(f"rtfbench: {where}{error.strerror or error}", file=sys.stderr)
        _silence()
        sys.exit(2)


def _silence() -> None:
    """Keep Python from complaining once more when it flushes standard output at its end."""
    with suppress(OSError):  # one that has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
