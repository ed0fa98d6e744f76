"""The folders of libraries of the user's own: from options and environment into the settings.

An engine that takes such a library has the setting `home`, and says how a user asks for it
(`EngineBase.library`). Here the setting gets its default, so that it stands in every cell and
every record that was made with it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rtfbench.base.errors import InputError
from rtfbench.base.files import followed
from rtfbench.engines import registry
from rtfbench.engines.protocol import HOME, EngineError, EngineSpec, Library
from rtfbench.frontends.audio import NOT_TEXT, is_text, printable
from rtfbench.models.probe import probe

Homes = Mapping[str, Path]


def named(
    engines: Iterable[str], options: Mapping[str, Path | None] | None = None
) -> dict[str, Path]:
    """Return engine -> folder for those that are used: the options' values, else the environment's.

    Raises:
        InputError: an option is for an engine that is not among them.
    """
    given = {name: folder for name, folder in (options or {}).items() if folder}
    used = dict.fromkeys(engines)
    for name in given:
        library = _library(name)
        if library is not None and name not in used:
            raise InputError(
                f"{library.option} is for the engine {name}; add it with --engine {name}"
            )
    folders: dict[str, Path] = {}
    for name in used:
        library = _library(name)
        if library is not None:
            folder = given.get(name) or os.environ.get(library.variable)
            folders |= {name: Path(folder)} if folder else {}
    return folders


def _library(name: str) -> Library | None:
    """Return how a library is named for an engine; one that cannot be had is refused elsewhere."""
    try:
        return registry.get(name).library
    except EngineError:
        return None


def place(spec: EngineSpec, homes: Homes) -> EngineSpec:
    """Return an engine with its folder, as a full path, among the settings; its own goes before.

    Raises:
        InputError: the path cannot be written among settings.
    """
    settings, library = dict(spec.settings), _library(spec.name)
    home = settings.pop(HOME, "") or str(homes.get(spec.name, ""))
    if library is None or not home:
        return spec
    if home != library.own:
        path = followed(Path(home).expanduser())
        if not is_text(path):
            raise InputError(f"{printable(path)}: {NOT_TEXT}")
        if set(str(path)) & set(",[]"):
            raise InputError(
                f"{path}: a comma or bracket in the path of a library; rename the folder"
            )
        settings[HOME] = str(path)
    return spec._replace(settings=settings)


def check_homes(specs: Iterable[EngineSpec]) -> None:
    """Compile and load every library that engines name, each in a process of its own.

    Raises:
        InputError: one cannot be used; the message names the folder and the cure.
    """
    folders = {
        (spec.name, spec.settings[HOME]): spec
        for spec in specs
        if HOME in spec.settings and _library(spec.name) is not None
    }
    for (_, folder), spec in folders.items():
        found = probe(spec)
        if not found.ok:
            raise InputError(
                found.reason if folder in found.reason else f"{folder}: {found.reason}"
            )
