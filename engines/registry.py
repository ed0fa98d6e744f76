"""Find engines by name through the entry-point group `rtfbench.engines`.

Built-in engines use the same door as plug-ins: a package that declares

    [project.entry-points."rtfbench.engines"]
    mine = "my_package.engine:MyEngine"

is found as soon as it is installed. An engine's module is imported when the engine is first
asked for, a plug-in's in a process of its own before, where it may exit, hang or raise alone:

    python -m rtfbench.engines.registry NAME...
"""

import difflib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from rtfbench.engines import processes
from rtfbench.engines.base import EngineBase
from rtfbench.engines.protocol import EngineError, Format

GROUP = "rtfbench.engines"
#: To import a plug-in with its runtime.
LIMIT_S = 60.0
#: Names of plug-ins that were tried already, for this process and those that it starts.
VARIABLE = "RTFBENCH_VETTED"
FINE = "vetted:"

_refused: dict[str, str] = {}


class UnknownEngineError(EngineError):
    """No engine of this name is installed."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the engines by name; a plug-in takes the place of no other."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=_is_plug_in):
        found.setdefault(entry.name, entry)
    return found


def _is_plug_in(entry: EntryPoint) -> bool:
    return not entry.module.startswith("rtfbench.")


def passed_over() -> tuple[str, ...]:
    """Say which plug-ins are not used, because another engine has their name."""
    used = _entry_points().values()
    return tuple(
        f"{entry.value} calls its engine {entry.name}, as {_entry_points()[entry.name].value} "
        "does, and is passed over; rename it"
        for entry in entry_points(group=GROUP)
        if entry not in used
    )


def vet(names: Iterable[str]) -> None:
    """Try the plug-ins among engines together, which is faster than each when it is asked for.

    They are imported in a process of its own, one after the other, unless that was done.
    """
    known = _entry_points()
    done = {*_known(), *_refused}
    plug_ins = [name for name in names if name in known and _is_plug_in(known[name])]
    todo = [name for name in plug_ins if name not in done]
    while todo:
        fine, reason = _try(todo)
        os.environ[VARIABLE] = ",".join([*_known(), *fine])
        todo = [name for name in todo if name not in fine]
        if todo:
            _refused[todo.pop(0)] = reason


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
        # What was left unfinished is nearer than what is spelled alike.
        near = [each for each in known if name and each.startswith(name)]
        near = near or difflib.get_close_matches(name, known, n=2)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
        )
        raise UnknownEngineError(
            f"no engine {name!r}; {hint} "
            "(`rtfbench engines` lists them; a plug-in is found once it is installed)"
        )
    what = f"engine {name!r} ({known[name].value}) cannot be loaded"
    if _is_plug_in(known[name]) and (why := _refusal(name)):
        raise EngineError(f"{what}: {why}")
    try:
        engine = known[name].load()()
    except Exception as error:  # a plug-in may fail in any way; the sweep must go on
        raise EngineError(f"{what}: {' '.join(str(error).split())}") from error
    if not isinstance(engine, EngineBase):
        raise EngineError(
            f"{known[name].value} is no engine: derive it from EngineBase (engines/base.py)"
        )
    return engine


def on(name: str, settings: Mapping[str, str]) -> EngineBase:
    """Return the engine of this name on the library that its settings name, else on its own.

    Raises:
        UnknownEngineError: as `get`.
        EngineError: as `get`.
    """
    return get(name).on(settings)


@cache
def maker_of(format: Format) -> str:
    """Return the name of the engine that makes files of a format.

    That is the one of the format's name, else the first in the alphabet that reads it, plug-ins
    last.

    Raises:
        EngineError: no installed engine reads it.
    """
    known = _entry_points()
    # A plug-in that only reads the format is not asked where an engine from here does.
    for name in sorted(names(), key=lambda name: (name != format, _is_plug_in(known[name]))):
        if name != format and _is_plug_in(known[name]):
            vet(names())  # none from here does: every plug-in is asked
        try:
            if get(name).format == format:
                return name
        except EngineError:
            continue  # a user who asks for that engine is told
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


def _refusal(name: str) -> str:
    """Say why a plug-in cannot be imported, empty if it can."""
    vet([name])
    return _refused.get(name, "")


def _try(names: Sequence[str]) -> tuple[list[str], str]:
    """Return the names up to the first one that fails, and how that one does."""
    command = [sys.executable, "-P", "-m", "rtfbench.engines.registry", *names]
    # In there, nothing is tried once more.
    env = {**os.environ, VARIABLE: ",".join([*_known(), *names])}
    try:
        done = processes.run(command, timeout_s=LIMIT_S, env=env)
    except subprocess.TimeoutExpired as expired:
        return _fine(expired.output), f"it is not imported within {LIMIT_S:g} s"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    ended = f"importing it ends the process (status {done.returncode})"
    return _fine(done.stdout), said[-1] if said and done.returncode == 1 else ended


def _known() -> list[str]:
    return list(filter(None, os.environ.get(VARIABLE, "").split(",")))


def _fine(output: bytes | None) -> list[str]:
    lines = (output or b"").decode(errors="replace").splitlines()
    return [line.removeprefix(FINE) for line in lines if line.startswith(FINE)]


def main() -> None:
    """Import the plug-ins that are named, and ask each for all that an engine tells of itself."""
    told = [name for name in vars(EngineBase) if not name.startswith("_")]
    for name in sys.argv[1:]:
        try:
            engine = get(name)
            for attribute in told:
                getattr(engine, attribute)
        except Exception as error:  # a plug-in may fail in any way
            sys.exit(" ".join(str(error.__cause__ or error).split()) or type(error).__name__)
        print(f"\n{FINE}{name}", flush=True)


if __name__ == "__main__":
    main()
