"""The system's C or C++ compiler: shared libraries of our own, made once and kept in the cache."""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from engines import processes
from engines.protocol import EngineError

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden")
#: A compiler that hangs (a wrapper that waits for a network, say) is given up after so long.
TIMEOUT_S = 300.0


class CompileError(EngineError):
    """The compiler refused a source; the text is the line of its output that tells why."""


def shared_library(
    source: Path, *, flags: Sequence[str] = (), needs: Sequence[Path] = (), include: str = ""
) -> Path:
    """Return a compiled source; it is made when the cache lacks it.

    Args:
        source: what is compiled.
        flags: for the compiler, besides `FLAGS`.
        needs: other files on which the result depends.
        include: a folder of headers.

    Raises:
        CompileError: the compiler refused.
        EngineError: there is none, or it does not answer.
    """
    compiler = find_compiler()
    said = _run([*compiler, "--version"]).stdout.decode(errors="replace")
    facts = [*compiler, *FLAGS, *flags, said, *map(sha256, [source, *needs])]
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
    target = _folder() / f"{source.stem.replace('_', '-')}-{key}.so"
    if not target.is_file():
        includes = [f"-I{include}"] if include else []
        _compile([*compiler, *FLAGS, *flags, *includes, str(source)], target)
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
        else f"no C++ compiler ({', '.join(COMPILERS)})"
    )
    raise EngineError(f"{what}; install g++ or clang++, or name one in CXX")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder() -> Path:
    # The variable is that of the harness's own cache.
    named = os.environ.get("RTFBENCH_CACHE")
    return (Path(named) if named else user_cache_path("rtfbench")) / "native"


def _compile(command: Sequence[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        done = _run([*command, "-o", str(part)])
        if done.returncode != 0:
            raise CompileError(_first_error(done.stderr.decode(errors="replace")))
        part.replace(target)
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
