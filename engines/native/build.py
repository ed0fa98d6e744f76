"""Compiles the shim with the system's C++ compiler, once for each source, compiler and library."""

import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from platformdirs import user_cache_path

from engines.native.home import Home
from engines.protocol import EngineError

SOURCE = Path(__file__).with_name("mnn_shim.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")


def build(home: Home) -> Path:
    """Return the compiled shim for a library; it is made when the cache lacks it.

    Raises:
        EngineError: there is no compiler, or it refused; with what it said.
    """
    compiler = find_compiler()
    target = _folder() / f"mnn-shim-{_key(home, compiler)}.so"
    if not target.is_file():
        _compile(home, compiler, target)
    return target


def find_compiler() -> list[str]:
    """Return the command of the C++ compiler: `CXX`, or the first that is installed.

    Raises:
        EngineError: there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [[name] for name in COMPILERS]:
        path = shutil.which(command[0])
        if path is not None:
            return [path, *command[1:]]
    what = (
        f"CXX names {named[0]}, and there is no such program"
        if named
        else (f"no C++ compiler ({', '.join(COMPILERS)})")
    )
    raise EngineError(
        f"{what}; MNN from a folder needs one: install g++ or clang++, or name it in CXX"
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder() -> Path:
    # The variable is that of the harness's own cache.
    named = os.environ.get("RTFBENCH_CACHE")
    return (Path(named) if named else user_cache_path("rtfbench")) / "native"


def _key(home: Home, compiler: list[str]) -> str:
    """Return a name that changes with source, flags, compiler, headers and library."""
    asked = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    headers = sorted((home.include / "MNN").glob("*.h*"))
    files = [SOURCE, *headers, home.library]
    facts = [*compiler, *FLAGS, asked.stdout, *map(sha256, files)]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]


def _compile(home: Home, compiler: list[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{os.getpid()}.{target.name}")
    # Not linked with the library, which the process loads by its path: no other is looked for.
    command = [*compiler, *FLAGS, f"-I{home.include}", str(SOURCE)]
    try:
        done = subprocess.run(
            [*command, "-o", str(part)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(
                f"{home.include}: the shim cannot be compiled with these headers "
                f"({_first_error(done.stderr)}); are they MNN's, and complete?"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _first_error(said: str) -> str:
    """Return the line of a compiler's output that tells what is wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = (line for line in lines if "error" in line.lower())
    return next(telling, lines[0] if lines else "the compiler said nothing")
