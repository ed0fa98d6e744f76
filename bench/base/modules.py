"""How a child process finds this project's modules, and no others of their names."""

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

#: Where `bench`, `engines` and `frontends` are.
ROOT = Path(__file__).parent.parent.parent
PYTHONPATH = "PYTHONPATH"


def run_module(module: str, python: Path | None = None) -> list[str]:
    """Return the beginning of a command that runs a module."""
    # Without -P the present folder comes first, and users have folders called bench.
    return [str(python or sys.executable), "-P", "-m", module]


def search_path() -> dict[str, str]:
    """Return the variable that lets a child run this very code; none where it is installed."""
    if str(ROOT) in _site_folders():
        return {}
    # A checkout: its code runs in children too, whichever other is installed.
    given = os.environ.get(PYTHONPATH)
    return {PYTHONPATH: os.pathsep.join(filter(None, [str(ROOT), given]))}


@cache
def _site_folders() -> frozenset[str]:
    """Return where packages are installed."""
    return frozenset(sysconfig.get_path(name) for name in ("purelib", "platlib"))
