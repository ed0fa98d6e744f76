"""Shared libraries of our own, compiled once and kept: the C interface to a user's MNN is one.

The folder that this MNN lies in: what it must hold, and what is wrong with it.
"""

import hashlib
import os
import platform
import re
import shlex
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path

from rtfbench.engines import processes
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


COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")
#: A compiler that hangs (a wrapper that waits for a network, say) is given up after so long.
TIMEOUT_S = 300.0


class CompileError(EngineError):
    """The compiler refused a source; the text is the line of its output that tells why."""


def shared_library(
    source: Path,
    *,
    flags: Sequence[str] = (),
    needs: Sequence[Path] = (),
    include: str = "",
    scratch: Path | None = None,
) -> Path:
    """Return a compiled source; it is made when the cache lacks it.

    What is loaded runs as code, so it has to be a file of our own in a folder of our own, and to
    have the SHA-256 that its name ends in.

    Args:
        source: what is compiled.
        flags: for the compiler, besides `FLAGS`.
        needs: other files on which the result depends.
        include: a folder of headers.
        scratch: where the folder lies in which it is compiled; the system's place by default.

    Raises:
        CompileError: the compiler refused.
        EngineError: there is none, or it does not answer, or others may write into the cache.
    """
    compiler = find_compiler()
    said = _run([*compiler, "--version"]).stdout.decode(errors="replace")
    facts = [*compiler, *FLAGS, *flags, said, platform.machine(), *map(sha256, [source, *needs])]
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
    name = f"{source.stem.replace('_', '-')}-{key}"
    folder = _own_folder()
    for made in folder.glob(f"{name}-*.so"):
        if _is_intact(made):
            return made
    includes = [f"-I{include}"] if include else []
    # Nobody else may touch it between the compiler and its digest.
    with TemporaryDirectory(dir=scratch) as private:
        part = Path(private) / source.stem
        done = _run([*compiler, *FLAGS, *flags, *includes, str(source), "-o", str(part)])
        if done.returncode != 0:
            raise CompileError(_first_error(done.stderr.decode(errors="replace")))
        target = folder / f"{name}-{sha256(part)}.so"
        part.chmod(0o600)
        _place(part, target)
    return target


def find_compiler() -> list[str]:
    """Return the command of the C++ compiler: `CXX`, or the first that is installed.

    Raises:
        EngineError: there is none.
    """
    try:
        named = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise EngineError(f"CXX is no command ({error}); name a compiler in it") from error
    for command in [named] if named else [[name] for name in COMPILERS]:
        if path := shutil.which(command[0]):
            return [path, *command[1:]]
    what = f"no C++ compiler ({', '.join(COMPILERS)})"
    if named:
        what = f"CXX names {named[0]}, and there is no such program"
    raise EngineError(f"{what}; install g++ or clang++, or name one in CXX")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_folder() -> Path:
    """Return the cache's folder for what is compiled.

    Raises:
        EngineError: it cannot be made, or others may write here.
    """
    # The variable is that of the harness's own cache.
    named = os.environ.get("RTFBENCH_CACHE")
    folder = (Path(named) if named else user_cache_path("rtfbench")) / "native"
    try:
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EngineError(
            f"{folder}: cannot be made ({error.strerror}); name another cache in RTFBENCH_CACHE"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or not _is_own(found):
        raise EngineError(
            f"{folder}: others may write here, and what lies here is run; delete it, or name a "
            "cache of your own in RTFBENCH_CACHE"
        )
    return folder


def _is_own(found: os.stat_result) -> bool:
    """Say whether something belongs to us, and nobody else may write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is_intact(path: Path) -> bool:
    """Say whether a file is our own, and has the SHA-256 that its name ends in."""
    found = path.lstat()
    own = stat.S_ISREG(found.st_mode) and _is_own(found)
    return own and sha256(path) == path.stem.rpartition("-")[2]


def _place(made: Path, target: Path) -> None:
    """Move a file to its place, which may be on another disk, as a whole."""
    part = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        shutil.copy(made, part)
        part.replace(target)
    except OSError as error:
        raise EngineError(f"{target.parent}: cannot write here ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
    try:
        return processes.run(command, timeout_s=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{command[0]}: no answer within {TIMEOUT_S:g} s") from None


def _first_error(said: str) -> str:
    """Return the line of a compiler's output that tells what is wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = (line for line in lines if "error" in line.lower())
    return next(telling, lines[0] if lines else "the compiler said nothing")


SOURCE = Path(__file__).with_name("mnn_shim.cpp")


def build(home: Home) -> Path:
    """Return the compiled shim for a library.

    It is not linked with the library, which the process loads by its path: no other is looked for.

    Raises:
        EngineError: there is no compiler, or it refused; with what it said.
    """
    headers = sorted((home.include / "MNN").glob("*.h*"))
    try:
        needs = [*headers, home.library]
        return shared_library(SOURCE, flags=("-std=c++11",), needs=needs, include=str(home.include))
    except CompileError as error:
        raise EngineError(
            f"{home.include}: the shim cannot be compiled with these headers ({error}); "
            "are they MNN's, and complete?"
        ) from None
