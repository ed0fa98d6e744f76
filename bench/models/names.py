"""What a user names: models, engines, and folders of libraries, checked before anything is made.

An engine that takes a library of the user's own has the setting `home`, and says how a user asks
for it (`EngineBase.library`). Here the setting gets its default from options or the environment, so
that it stands in every cell and every record that was made with it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import followed
from rtfbench.engines import registry
from rtfbench.engines.base import chosen
from rtfbench.engines.protocol import (
    HOME,
    EngineError,
    EngineSpec,
    Form,
    Library,
    Precision,
    SessionOptions,
    parse_engine,
)
from rtfbench.frontends.audio import NOT_TEXT, is_text, printable
from rtfbench.models.model_files import is_path
from rtfbench.models.probe import probe
from rtfbench.models.zoo import catalog


def check_names(models: Iterable[str], engines: Iterable[EngineSpec]) -> None:
    """Refuse models that are neither files nor of the catalog, and engines or settings not known.

    Raises:
        InputError: one line that suggests what is near.
    """
    with as_input(ValueError, EngineError):
        for model in models:
            if not is_path(model):
                catalog.get(model)
        for spec in engines:
            chosen(
                registry.get(spec.name),
                SessionOptions(settings=spec.settings, precision=spec.computes),
            )


def named_engine(text: str) -> EngineSpec:
    """Read an engine as it is written on the command line.

    Raises:
        InputError: with an example of what is right.
    """
    with as_input(ValueError):
        return parse_engine(text)


def default_form(engine: str) -> Form:
    """Return the model form that an engine runs when no other is asked for.

    Raises:
        InputError: no such engine.
    """
    with as_input(EngineError):
        return registry.get(engine).default_form


def precisions_of(engine: str, device: str) -> tuple[Precision, ...]:
    """Return what an engine computes in on a device.

    Raises:
        InputError: no such engine.
    """
    with as_input(EngineError):
        return tuple(registry.get(engine).precisions_on(device))


def default_engine(model: str) -> str:
    """Return the engine that embeds where none is named."""
    return "mnn" if Path(model).suffix == ".mnn" or not is_path(model) else "onnxruntime"


Homes = Mapping[str, Path]


def homes_of(
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


def with_home(spec: EngineSpec, homes: Homes) -> EngineSpec:
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
