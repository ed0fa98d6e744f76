"""A user's MNN library and the shim, loaded into this process; the process keeps this one MNN."""

import ctypes
import os
import re
import sys
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rtfbench.engines.native import compiler
from rtfbench.engines.native.compiler import Home, find
from rtfbench.engines.protocol import EngineError

#: `const char* MNN::getVersion()`, by the name that every C++ compiler on Linux gives it.
_GET_VERSION = "_ZN3MNN10getVersionEv"
ERROR_SIZE = 512

_TEXT = (c_char_p, c_int32)  # where an error is written to
_SIGNATURES = {
    "open": (c_char_p, c_char_p, c_char_p, c_int32, c_int32, POINTER(c_void_p), *_TEXT),
    "shape": (c_void_p, c_int32, POINTER(c_int32), c_int32, POINTER(c_int32), *_TEXT),
    "resize": (c_void_p, POINTER(c_int32), c_int32, *_TEXT),
    "run": (c_void_p, c_void_p, c_int64, c_void_p, c_int64, *_TEXT),
    "info": (c_void_p, *[POINTER(c_float)] * 2, *[POINTER(c_int32)] * 2, *_TEXT),
}


@dataclass(frozen=True)
class LoadedLibrary:
    """An MNN library in this process; `shim` has the functions of `mnn_shim.cpp`."""

    path: Path
    version: str
    size_bytes: int
    sha256: str
    shim: ctypes.CDLL

    @property
    def build(self) -> str:
        """Which library it is: where it lies and its content."""
        return f"{self.path}, SHA-256 {self.sha256[:12]}"

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the shim.

        Raises:
            EngineError: with the one line that it wrote.
        """
        error = ctypes.create_string_buffer(ERROR_SIZE)
        if getattr(self.shim, f"rtfbench_mnn_{function}")(*arguments, error, ERROR_SIZE) != 0:
            raise told(error)


def told(error: ctypes.Array[ctypes.c_char]) -> EngineError:
    """Return what the shim wrote, as an error of one line."""
    return EngineError(" ".join(error.value.decode(errors="replace").split()))


_folder: Path | None = None


def folder_in_use() -> Path | None:
    """Return the folder whose MNN this process has loaded, None if there is none yet."""
    return _folder


def load(folder: Path) -> LoadedLibrary:
    """Return a folder's library, loaded with its shim.

    Raises:
        EngineError: the folder holds no MNN that can be used here, or this process has another.
    """
    if _folder not in (None, folder):
        raise EngineError(
            f"{folder}: this process has loaded the MNN of {_folder}; "
            "a process can hold one MNN only"
        )
    return _load(folder)


@cache
def _load(folder: Path) -> LoadedLibrary:
    if "_mnncengine" in sys.modules:
        raise EngineError(
            f"{folder}: this process has loaded the MNN wheel; a process can hold one MNN only"
        )
    global _folder
    home = find(folder)
    # Before the library is loaded: a process cannot get rid of one again.
    compiler.find_compiler()
    library = _open(home.library)
    _folder = folder
    version = _version_of(home, library)
    if version != home.version:
        raise EngineError(
            f"{folder}: headers of MNN {home.version or 'without a version'}, and a library of "
            f"MNN {version}; copy include/ from the sources that the library was built from"
        )
    functions = _open_shim(compiler.build(home), home)
    for name, signature in _SIGNATURES.items():
        function = getattr(functions, f"rtfbench_mnn_{name}")
        function.argtypes, function.restype = signature, c_int
    functions.rtfbench_mnn_close.argtypes = (c_void_p,)
    functions.rtfbench_mnn_close.restype = None
    path, size_bytes = home.library, home.library.stat().st_size
    return LoadedLibrary(path, version, size_bytes, compiler.sha256(path), functions)


def _open(path: Path) -> ctypes.CDLL:
    """Load a library as a program does that was linked with it.

    `CDLL` by itself asks for every function at once, and a minimal library may name some that it
    was built without and never calls.
    """
    system = ctypes.CDLL(None)
    system.dlopen.argtypes, system.dlopen.restype = (c_char_p, c_int), c_void_p
    system.dlerror.argtypes, system.dlerror.restype = (), c_char_p
    # Global: the shim takes MNN's functions from what is loaded.
    handle = system.dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_GLOBAL)
    if handle is None:
        said = (system.dlerror() or b"it does not say why").decode(errors="replace")
        raise EngineError(
            f"{path}: the system cannot load it ({said}); build it for this machine, and with "
            "the libraries that it needs"
        )
    return ctypes.CDLL(str(path), handle=handle)


def _open_shim(path: Path, home: Home) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))  # here every function has to be there
    except OSError as error:
        raise EngineError(
            f"{home.library}: it lacks what the headers of {home.include} promise ({error}); "
            "copy include/ from the sources that the library was built from"
        ) from error


def _version_of(home: Home, library: ctypes.CDLL) -> str:
    try:
        get_version = library[_GET_VERSION]
    except AttributeError as error:
        raise EngineError(
            f"{home.library}: no MNN library: it does not tell its version"
        ) from error
    get_version.argtypes, get_version.restype = (), c_char_p
    said = get_version()
    found = re.match(rb"[\d.]+", said or b"")
    return found.group().decode() if found else ""
