"""A stand-in for MNN that is compiled here, and model files made by hand.

What MNN itself does is tested in `test_named_libraries.py`, where the environment names one. Each
test that loads a library does so in a process of its own: a process can hold one MNN only.
"""

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.engines import registry
from rtfbench.engines.native.compiler import find_compiler
from rtfbench.engines.protocol import EngineError, Library

STANDIN = Path(__file__).parent / "standin"
VERSION = "99.1.2"

KINDS = {"mnn": "full", "mnn-mini": "minimal"}

Standin = Callable[..., Path]
WriteModel = Callable[..., Path]


def library_of(engine: str) -> Library:
    """Return how a library is named for an engine."""
    found = registry.get(engine).library
    assert found is not None
    return found


@pytest.fixture(scope="session")
def compiler() -> list[str]:
    """Return the C++ compiler; without one, what needs it is skipped."""
    try:
        return find_compiler()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def standin(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> Standin:
    """Return a function that makes a folder with a stand-in's headers and library."""
    kept: dict[tuple[str, bool], Path] = {}

    def make(version: str = VERSION, *, minimal: bool = False) -> Path:
        if (version, minimal) not in kept:
            folder = tmp_path_factory.mktemp("home")
            shutil.copytree(STANDIN / "include", folder / "include")
            (folder / "lib").mkdir()
            command = [*compiler, "-std=c++17", "-shared", "-fPIC", f'-DVERSION="{version}"']
            command += ["-DMINIMAL"] * minimal
            command += ["-Wl,-soname,libMNN.so", f"-I{folder / 'include'}"]
            files = [str(STANDIN / "mnn.cpp"), "-o", str(folder / "lib" / "libMNN.so")]
            subprocess.run([*command, *files], check=True)
            kept[version, minimal] = folder
        copy = tmp_path_factory.mktemp("mnn") / "home"
        shutil.copytree(kept[version, minimal], copy)
        return copy

    return make


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Return a function that writes the smallest file that is laid out as an MNN model."""

    def write(name: str = "model.mnn", *, stores_shapes: bool = True, cut_off: int = 0) -> Path:
        # Root; a list of where the fields of `Net` lie; the table; its operators and its name.
        fields = [12, 0, 0, 8, 0, 0, 0, 0, 0, 4, 0, 0]
        places = struct.pack("<14H", 28, 16, *fields)
        operators, text = struct.pack("<II", 1, 4) + bytes(4), struct.pack("<I", 3) + b"MNN\0"
        table = struct.pack("<iB3xII", 28, 2 * stores_shapes, 8, 4 + len(operators))
        content = struct.pack("<I", 4 + 28) + places + table + operators + text
        path = tmp_path / name
        path.write_bytes(content[: len(content) - cut_off])
        return path

    return write


@pytest.fixture(params=list(KINDS))
def engine(request: pytest.FixtureRequest, mnn_homes: dict[str, str]) -> str:
    """Return each engine whose library the environment names."""
    name: str = request.param
    if not mnn_homes[name]:
        pytest.skip(f"{library_of(name).variable} names no {KINDS[name]} MNN library")
    return name


@pytest.fixture
def home(engine: str, mnn_homes: dict[str, str]) -> Path:
    """Return the folder of the engine's library."""
    return Path(mnn_homes[engine]).resolve()


def in_a_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own; `sys.argv` has the arguments."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
