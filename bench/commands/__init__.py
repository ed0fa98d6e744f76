"""The command line: parses, calls, and turns what went wrong into one line and a status.

A command is a module here: its options, the call, and what is printed. The work is in the room of
its subject, which a command imports when it runs: `rtfbench --help` loads no numpy and no runtime.
"""

import errno
import signal
import sys
from collections.abc import Mapping, Sequence

from rtfbench.base.errors import InputError, complain

# Importing a command registers it.
from rtfbench.commands import (  # noqa: F401
    bisect,
    cache,
    capacity,
    check,
    collect,
    doctor,
    explain,
    export,
    extract,
    front_end,
    gate,
    history,
    lists,
    merge,
    replay,
    report,
    run,
    schema,
    score,
    tune,
    verify,
)
from rtfbench.commands.app import app
from rtfbench.commands.process import STATUS_BASE, as_interruption, prepare, silence_output

#: What helps against errors of the system, by their number.
CURES: Mapping[int, str] = {
    errno.EMFILE: "; allow more with: ulimit -n 1024",
    errno.ENOSPC: "; make room, and try again",
    errno.EDQUOT: "; make room, and try again",
    errno.ENOMEM: "; free memory, and try again",
    errno.EROFS: "; name a place that can be written to",
    errno.EACCES: "; change its permissions, or name another place",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; the console script `rtfbench`."""
    prepare()
    with as_interruption() as interruption:
        try:
            _run(argv)
        except BaseException as error:
            # Whatever became of an interruption on its way: a command ends as it does after one,
            # and a library that calls us back may make an exception of its own of it.
            if interruption.number or isinstance(error, KeyboardInterrupt):
                sys.exit(interruption.status)
            raise


def _run(argv: Sequence[str] | None) -> None:
    """Run a command; what went wrong becomes one line and a status."""
    try:
        try:
            app(args=argv)
        except SystemExit as ended:
            # Nobody reads what is printed; the parser makes a status of its own of that.
            if isinstance(ended.__context__, BrokenPipeError):
                raise ended.__context__ from None
            raise
        finally:
            sys.stdout.flush()
    except InputError as error:
        complain(str(error))
        sys.exit(2)
    except BrokenPipeError:
        # The reader, `head` for instance, has seen enough. Nobody may take the rest for done.
        silence_output()
        sys.exit(STATUS_BASE + signal.SIGPIPE)
    except MemoryError:
        complain("not enough memory; free some, or ask for less")
        sys.exit(2)
    except OSError as error:
        # A full disk, a folder that may not be written, a limit of the system.
        where = f"{error.filename}: " if error.filename else ""
        cure = CURES.get(error.errno or 0, "")
        if error.filename == sys.executable:
            cure = "; install rtfbench for a Python that you may start"
        complain(f"{where}{error.strerror or error}{cure}")
        silence_output()
        sys.exit(2)
