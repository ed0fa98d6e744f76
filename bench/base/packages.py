"""This package and others: where its code is, and how another process or revision finds that.

Installed, the package is a folder `rtfbench`. In a checkout its parts are three folders: `bench`
is `rtfbench`, `engines` is `rtfbench.engines`, and `frontends` is `rtfbench.frontends`. Extras of
its distribution bring others.
"""

import sys
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rtfbench.base.errors import InputError

NAME = "rtfbench"
#: The folder of the package `rtfbench`.
PACKAGE = Path(__file__).resolve().parent.parent
#: The checkout, or where packages are installed.
ROOT = PACKAGE.parent
PYTHONPATH = "PYTHONPATH"


def run_module(module: str, python: Path | None = None) -> list[str]:
    """Return the beginning of a command that runs a module."""
    # Without -P the present folder comes first, and users have modules of any name there.
    return [str(python or sys.executable), "-P", "-m", module]


def sources(room: str) -> list[Path]:
    """Return the Python files of a room, such as `models` or `frontends`.

    Raises:
        LookupError: there is no such room.
    """
    inside = PACKAGE / room
    found = sorted((inside if inside.is_dir() else ROOT / room).rglob("*.py"))
    if not found:
        raise LookupError(f"there is no room {room!r}")
    return found


def is_one_package(checkout: Path) -> bool:
    """Say whether a checkout is imported as `rtfbench`; older revisions are `bench`."""
    return NAME in _project(checkout)["scripts"][NAME]


def lay_out(checkout: Path, folder: Path) -> Path:
    """Make a folder from which Python imports a checkout's code; return it.

    Beside links to the code it has what the revision's engines are found by. What is there already
    stays.
    """
    if is_one_package(checkout):
        package = folder / NAME
        parts = [*(checkout / "bench").iterdir(), checkout / "engines", checkout / "frontends"]
    else:
        package = folder
        parts = [checkout / name for name in ("bench", "engines", "frontends")]
    package.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if part.exists() and part.name != "__pycache__" and not (package / part.name).exists():
            (package / part.name).symlink_to(part)
    project = _project(checkout)
    told = folder / f"{NAME}-{project['version']}.dist-info"
    told.mkdir(exist_ok=True)
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    groups = project.get("entry-points", {})
    lines = [
        line
        for group, names in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _project(checkout: Path) -> dict[str, Any]:
    with (checkout / "pyproject.toml").open("rb") as file:
        found: dict[str, Any] = tomllib.load(file)["project"]
    return found


#: A package -> the extra that brings it.
EXTRAS: Mapping[str, str] = {"matplotlib": "plot", "jinja2": "report", "ruptures": "history"}


def missing(package: str) -> bool:
    """Say whether a package is not installed."""
    return find_spec(package) is None


def require(package: str) -> None:
    """Refuse to go on without a package.

    Raises:
        InputError: it is not installed; with the cure.
    """
    if missing(package):
        raise InputError(cure(package))


def cure(package: str) -> str:
    """Say that a package is not installed, and which extra brings it."""
    return f"{package} is not installed; install it with: pip install 'rtfbench[{EXTRAS[package]}]'"
