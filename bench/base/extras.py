"""Packages that an extra of the distribution brings: whether one is there, and what brings it."""

from collections.abc import Mapping
from importlib.util import find_spec

from rtfbench.base.errors import InputError

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
