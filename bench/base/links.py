"""Where links lead."""

import os
from pathlib import Path


def followed(path: Path) -> Path:
    """Return a path without links; one that leads in a circle as far as it can be followed.

    `Path.resolve` raises a RuntimeError there, which nobody expects; to open this one is an
    OSError that says so.
    """
    return Path(os.path.realpath(path))
