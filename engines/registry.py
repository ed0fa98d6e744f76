"""Find engines by name through the entry-point group `rtfbench.engines`.

Built-in engines use the same door as plug-ins: a package that declares

    [project.entry-points."rtfbench.engines"]
    mine = "my_package.engine:MyEngine"

is found as soon as it is installed. An engine's module is imported when the engine is first
asked for.
"""

import difflib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from engines.base import EngineBase, completed
from engines.protocol import Engine, EngineError, Format

GROUP = "rtfbench.engines"


class UnknownEngineError(EngineError):
    """No engine of this name is installed."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> tuple[str, ...]:
    """Return the names of all installed engines, in alphabetical order."""
    return tuple(sorted(_entry_points()))


@cache
def get(name: str) -> EngineBase:
    """Return the engine of this name; its runtime is not loaded yet.

    Raises:
        UnknownEngineError: no such engine; the message suggests the nearest names.
        EngineError: the engine's module cannot be imported, or is no engine.
    """
    known = _entry_points()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5) or sorted(known)
        raise UnknownEngineError(
            f"no engine {name!r}; did you mean {' or '.join(near)}? "
            "(`rtfbench engines` lists them; a plug-in is found once it is installed)"
        )
    try:
        engine = known[name].load()()
    except Exception as error:  # a plug-in may fail in any way; the sweep must go on
        raise EngineError(
            f"engine {name!r} ({known[name].value}) cannot be loaded: {error}"
        ) from error
    if not isinstance(engine, Engine):
        raise EngineError(f"{known[name].value} is no engine: see engines/protocol.py")
    return completed(engine)


def on(name: str, settings: Mapping[str, str]) -> EngineBase:
    """Return the engine of this name on the library that its settings name, else on its own.

    Raises:
        UnknownEngineError: as `get`.
        EngineError: as `get`.
    """
    return completed(get(name).on(settings))


@cache
def maker_of(format: Format) -> str:
    """Return the name of the engine that makes files of a format.

    That is the one of the format's name, else the first in the alphabet that reads it.

    Raises:
        EngineError: no installed engine reads it.
    """
    for name in sorted(names(), key=lambda name: name != format):
        try:
            if get(name).format == format:
                return name
        except EngineError:
            continue  # whoever asks for that engine is told
    raise EngineError(f"no installed engine reads .{format} files; see: rtfbench engines")


def sources(name: str) -> tuple[Path, ...]:
    """Return the files that an engine is written in: its package's, or its only module.

    Raises:
        EngineError: as `get`.
    """
    get(name)
    module = sys.modules[_entry_points()[name].module]
    if module.__file__ is None:
        return ()
    file = Path(module.__file__)
    return tuple(sorted(file.parent.glob("*.py"))) if module.__package__ else (file,)
