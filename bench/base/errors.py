"""What a user is told in one line: what was done wrong, and what goes on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """Bad input: the message is one line that names the file or option, and the cure.

    The command line prints it and exits with status 2.
    """


@contextmanager
def as_input(*kinds: type[Exception], before: str = "") -> Iterator[None]:
    """Tell errors of these kinds, raised within the block, as bad input in their own words."""
    try:
        yield
    except kinds as error:
        raise InputError(f"{before}{error}") from error


def say(text: str) -> None:
    """Say on standard error, in one line whatever stands in a file's name."""
    print(" ".join(text.splitlines()), file=sys.stderr)


def complain(text: str) -> None:
    """Say on standard error what is wrong."""
    say(f"rtfbench: {text}")
