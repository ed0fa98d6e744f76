"""The folder that a user's MNN lies in: what it must hold, and what is wrong with it."""

import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from rtfbench.engines.protocol import EngineError

LIBRARY = "libMNN.so"
_MACHINES = {3: "x86", 8: "MIPS", 40: "ARM", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}
_VERSION = re.compile(r"^#define MNN_VERSION_(?:MAJOR|MINOR|PATCH)\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Home:
    """Headers and library of one MNN; `version` is that of the headers."""

    include: Path
    library: Path
    version: str


def find(folder: Path) -> Home:
    """Return what a folder holds.

    Raises:
        EngineError: headers or library are missing, or the library is for another machine.
    """
    if not folder.is_dir():
        raise EngineError(f"{folder}: no such folder; name the one that holds include/ and lib/")
    include = folder / "include"
    defines = include / "MNN" / "MNNDefine.h"
    if not (include / "MNN" / "Interpreter.hpp").is_file() or not defines.is_file():
        raise EngineError(
            f"{folder}: no MNN headers; copy the folder include/ of the same MNN's sources there "
            "(include/MNN/Interpreter.hpp)"
        )
    places = (folder / LIBRARY, folder / "lib" / LIBRARY)
    library = next((place for place in places if place.is_file()), None)
    if library is None:
        raise EngineError(f"{folder}: no {LIBRARY}; put it there or in {folder / 'lib'}")
    _check_machine(library)
    numbers = _VERSION.findall(defines.read_text(encoding="utf-8", errors="replace"))
    return Home(include, library, ".".join(numbers))


def _check_machine(library: Path) -> None:
    wanted, found = _machine(Path(sys.executable)), _machine(library)
    if found is None:
        raise EngineError(f"{library}: no shared library (no ELF file, or cut off); copy it again")
    if wanted is not None and found != wanted:
        raise EngineError(
            f"{library}: built for {_named(found)}, and this machine runs {_named(wanted)}; "
            "name a folder with a library for this machine"
        )


def _machine(path: Path) -> tuple[int, int] | None:
    """Return word size (1: 32 bits, 2: 64 bits) and machine number of an ELF file's header."""
    with path.open("rb") as file:
        header = file.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return None
    order = ">" if header[5] == 2 else "<"
    return header[4], struct.unpack_from(f"{order}H", header, 18)[0]


def _named(machine: tuple[int, int]) -> str:
    word_size, number = machine
    name = _MACHINES.get(number, f"ELF machine {number}")
    return f"{name} ({32 * word_size} bits)"
