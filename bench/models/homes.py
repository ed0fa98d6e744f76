"""The folders of the user's own MNN libraries: from options and environment into the settings.

An engine's setting `home` names the folder of its library. Here it gets its default, so that it
stands in every cell and every record that was made with it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.base.errors import InputError
from bench.models.probe import probe
from bench.plan.engine_spec import parse_engine

HOME = "home"
#: Takes the wheel where an option or the environment names a folder.
WHEEL = "wheel"
#: Engine -> the variable that names its folder where no option does.
VARIABLES = {"mnn": "RTFBENCH_MNN_HOME", "mnn-mini": "RTFBENCH_MNN_MINI_HOME"}
OPTIONS = {"mnn": "--mnn-home", "mnn-mini": "--mnn-mini-home"}

Homes = Mapping[str, Path]


def named(
    mnn: Path | None = None, mnn_mini: Path | None = None, *, specs: Iterable[str] = ()
) -> dict[str, Path]:
    """Return engine -> folder: the options' values, else those of the environment.

    Args:
        mnn: the value of `--mnn-home`.
        mnn_mini: the value of `--mnn-mini-home`.
        specs: the engines that will be used.

    Raises:
        InputError: an option is for an engine that is not among them.
        ValueError: as `parse_engine`.
    """
    options = {"mnn": mnn, "mnn-mini": mnn_mini}
    used = {parse_engine(spec).name for spec in specs}
    for name, option in OPTIONS.items():
        if options[name] and name not in used:
            raise InputError(f"{option} is for the engine {name}; add it with --engine {name}")
    values = {name: options[name] or os.environ.get(VARIABLES[name]) for name in VARIABLES}
    return {name: Path(value) for name, value in values.items() if value}


def place(spec: str, homes: Homes) -> str:
    """Return an engine as it is written on the command line, its folder in it as a full path.

    Args:
        spec: the engine, `name[key=value,...]`; a folder that it names itself is its own.
        homes: the folders of those that name none.

    Raises:
        InputError: the path cannot be written among settings.
        ValueError: as `parse_engine`.
    """
    name, settings = parse_engine(spec)
    home = settings.pop(HOME, "") or str(homes.get(name, ""))
    if name not in VARIABLES or not home:
        return spec
    if home != WHEEL:
        path = Path(home).expanduser().resolve()
        if set(str(path)) & set(",[]"):
            raise InputError(f"{path}: a comma or bracket in the path of an MNN; rename the folder")
        settings[HOME] = str(path)
    text = ",".join(f"{key}={value}" for key, value in settings.items())
    return f"{name}[{text}]" if text else name


def check_homes(specs: Iterable[str]) -> None:
    """Compile and load every library that engines name, each in a process of its own.

    Raises:
        InputError: one cannot be used; the message names the folder and the cure.
    """
    folders: dict[tuple[str, str], str] = {}
    for spec in specs:
        name, settings = parse_engine(spec)
        if name in VARIABLES and HOME in settings:
            folders.setdefault((name, settings[HOME]), spec)
    for (_, folder), spec in folders.items():
        found = probe(spec)
        if not found.ok:
            raise InputError(
                found.reason if folder in found.reason else f"{folder}: {found.reason}"
            )
