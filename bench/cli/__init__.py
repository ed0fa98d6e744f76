"""The command line: parses, calls, and turns what went wrong into one line and a status.

Nothing heavy is imported before a command runs: `rtfbench --help` loads no numpy and no runtime.
A command is a module here, which registers with the application, and one in `bench.commands`,
which does the work.
"""

import sys

from bench.cli import lists, replay, report, run  # noqa: F401  (importing a command registers it)
from bench.cli.app import app
from bench.errors import InputError


def main() -> None:
    """Run the command line; the console script `rtfbench`."""
    try:
        app()
    except InputError as error:
        print(f"rtfbench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
