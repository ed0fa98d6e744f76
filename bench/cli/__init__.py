"""The command line: parses, calls, and turns what went wrong into one line and a status.

Nothing heavy is imported before a command runs: `rtfbench --help` loads no numpy and no runtime.
A command is a module here, which registers with the application, and one in `bench.commands`,
which does the work.
"""

import os
import sys
from collections.abc import Sequence

from bench.base.errors import InputError

# Importing a command registers it.
from bench.cli import (  # noqa: F401
    cache,
    doctor,
    export,
    extract,
    gate,
    lists,
    replay,
    report,
    run,
    score,
    verify,
)
from bench.cli.app import app


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; the console script `rtfbench`.

    Args:
        argv: the arguments, those of the process by default.
    """
    try:
        app(args=argv)
    except InputError as error:
        print(f"rtfbench: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader, `head` for instance, has seen enough. Python would complain once more when
        # it flushes standard output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
