"""The folders of libraries of the user's own: from options and environment into the settings.

An engine that takes such a library has the setting `home`, and says how a user asks for it
(`EngineBase.library`). Here the setting gets its default, so that it stands in every cell and
every record that was made with it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.base.errors import InputError
from bench.base.links import followed
from bench.models.probe import probe
from bench.plan.engine_spec import parse_engine
from bench.results.cells import engine_label
from engines import registry
from engines.protocol import FLOAT32, HOME, EngineError, Library
from frontends.audio import NOT_TEXT, is_text, printable

Homes = Mapping[str, Path]


def named(
    specs: Iterable[str], options: Mapping[str, Path | None] | None = None
) -> dict[str, Path]:
    """Return engine -> folder: the options' values, else those of the environment.

    Args:
        specs: the engines that will be used.
        options: engine -> the value of its option.

    Raises:
        InputError: an option is for an engine that is not among them.
        ValueError: as `parse_engine`.
    """
    given = {name: folder for name, folder in (options or {}).items() if folder}
    used = dict.fromkeys(parse_engine(spec).name for spec in specs)
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


def place(spec: str, homes: Homes) -> str:
    """Return an engine as it is written on the command line, its folder in it as a full path.

    Args:
        spec: the engine, `name[key=value,...]`; a folder that it names itself is its own.
        homes: the folders of those that name none.

    Raises:
        InputError: the path cannot be written among settings.
        ValueError: as `parse_engine`.
    """
    name, settings, precision = parse_engine(spec)
    home, library = settings.pop(HOME, "") or str(homes.get(name, "")), _library(name)
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
    return engine_label(name, settings, precision or FLOAT32)


def check_homes(specs: Iterable[str]) -> None:
    """Compile and load every library that engines name, each in a process of its own.

    Raises:
        InputError: one cannot be used; the message names the folder and the cure.
    """
    folders: dict[tuple[str, str], str] = {}
    for spec in specs:
        name, settings, _ = parse_engine(spec)
        if HOME in settings and _library(name) is not None:
            folders.setdefault((name, settings[HOME]), spec)
    for (_, folder), spec in folders.items():
        found = probe(spec)
        if not found.ok:
            raise InputError(
                found.reason if folder in found.reason else f"{folder}: {found.reason}"
            )
