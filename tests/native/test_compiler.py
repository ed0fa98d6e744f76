"""The shim is compiled when it has to be, and what is wrong with a folder is said in one line."""

import os
import stat
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.engines.native import compiler
from rtfbench.engines.protocol import EngineError

Standin = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("RTFBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refusal(folder: Path) -> str:
    """Return the one line that a folder is refused with."""
    with pytest.raises(EngineError) as refused:
        compiler.build(compiler.find(folder))
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_the_shim_is_short() -> None:
    """The shim stays under 200 lines."""
    assert len(compiler.SOURCE.read_text(encoding="utf-8").splitlines()) < 200


def test_library_in_the_folder_or_in_lib(standin: Standin) -> None:
    """`libMNN.so` is found in the folder itself and in `lib/`."""
    folder = standin()
    assert compiler.find(folder).library == folder / "lib" / "libMNN.so"
    (folder / "lib" / "libMNN.so").rename(folder / "libMNN.so")
    found = compiler.find(folder)
    assert (found.library, found.version) == (folder / "libMNN.so", "99.1.2")


def test_compiled_once(standin: Standin, cache_folder: Path) -> None:
    """The same source, compiler and library give the file that is there, nothing beside it."""
    folder = standin()
    first = compiler.build(compiler.find(folder))
    made = first.stat().st_mtime_ns
    assert compiler.build(compiler.find(folder)) == first
    assert first.stat().st_mtime_ns == made
    assert list((cache_folder / "native").iterdir()) == [first]


def test_compiled_again_when_something_changed(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another library, header, source or compiler each give another file."""
    folder = standin()
    made = {compiler.build(compiler.find(folder))}
    with (folder / "lib" / "libMNN.so").open("ab") as file:
        file.write(b"\0")
    made.add(compiler.build(compiler.find(folder)))
    header = folder / "include" / "MNN" / "Tensor.hpp"
    header.write_text(header.read_text() + "// changed\n")
    made.add(compiler.build(compiler.find(folder)))
    source = tmp_path / "other.cpp"
    source.write_text(compiler.SOURCE.read_text(encoding="utf-8") + "// changed\n")
    monkeypatch.setattr(compiler, "SOURCE", source)
    made.add(compiler.build(compiler.find(folder)))
    monkeypatch.setenv("CXX", f"{compiler.find_compiler()[0]} -g")
    made.add(compiler.build(compiler.find(folder)))
    assert len(made) == 5


@pytest.mark.parametrize(
    "how", ["flipped", "cut off", "writable by others", "somebody's", "a link"]
)
def test_what_is_not_ours_is_not_loaded(standin: Standin, tmp_path: Path, how: str) -> None:
    """A file that is not what was compiled here is compiled again."""
    folder = compiler.find(standin())
    made = compiler.build(folder)
    content = made.read_bytes()
    match how:
        case "flipped":
            made.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "cut off":
            made.write_bytes(content[:-1])
        case "writable by others":
            made.chmod(0o666)
        case "somebody's":
            if os.geteuid() != 0:
                pytest.skip("only root gives files away")
            os.chown(made, 12345, -1)
        case _:
            made.unlink()
            (tmp_path / "theirs.so").write_bytes(content)
            made.symlink_to(tmp_path / "theirs.so")
    again = compiler.build(folder)
    assert again.read_bytes() == content
    assert again.stat().st_uid == os.geteuid()
    assert stat.S_IMODE(again.lstat().st_mode) == 0o600


@pytest.mark.parametrize("how", ["writable by others", "a link"])
def test_a_folder_of_others_is_refused(
    standin: Standin, cache_folder: Path, tmp_path: Path, how: str
) -> None:
    """Whoever may write there could have us run what they like."""
    native = cache_folder / "native"
    cache_folder.mkdir()
    if how == "a link":
        (tmp_path / "theirs").mkdir()
        native.symlink_to(tmp_path / "theirs")
    else:
        native.mkdir()
        native.chmod(0o770)
    message = refusal(standin())
    assert message.startswith(f"{native}: others may write here")
    assert "RTFBENCH_CACHE" in message


def test_no_warnings(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shim compiles with all warnings as errors."""
    flags = (*compiler.FLAGS, "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    monkeypatch.setattr(compiler, "FLAGS", flags)
    assert compiler.build(compiler.find(standin())).is_file()


def test_no_compiler(standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a compiler, its names are said; a wrong CXX is said by name."""
    folder = standin()
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    assert "CXX names no-such-compiler" in refusal(folder)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refusal(folder)
    assert "no C++ compiler (c++, g++, clang++)" in message
    assert "install g++" in message


def test_a_compiler_that_refuses(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    """What the compiler says comes with the folder, and nothing is left in the cache."""
    folder = standin()
    header = folder / "include" / "MNN" / "Interpreter.hpp"
    header.write_text("#pragma once\n")
    message = refusal(folder)
    assert str(folder) in message
    assert "error" in message
    assert list((cache_folder / "native").iterdir()) == []


def test_no_folder_headers_or_library(standin: Standin, tmp_path: Path) -> None:
    """What is missing is named, with where it belongs."""
    assert "no such folder" in refusal(tmp_path / "nowhere")
    folder = standin()
    (folder / "lib" / "libMNN.so").unlink()
    assert f"no libMNN.so; put it there or in {folder / 'lib'}" in refusal(folder)
    (folder / "include" / "MNN" / "Interpreter.hpp").unlink()
    assert "no MNN headers" in refusal(folder)


def test_another_architecture(standin: Standin) -> None:
    """A library for another machine is named with both machines; no ELF file is none at all."""
    folder = standin()
    library = folder / "lib" / "libMNN.so"
    content = bytearray(library.read_bytes())
    ours = struct.unpack_from("<H", Path(sys.executable).read_bytes()[:20], 18)[0]
    other, name = (62, "x86-64 (64 bits)") if ours == 183 else (183, "AArch64 (64 bits)")
    struct.pack_into("<H", content, 18, other)
    library.write_bytes(content)
    assert f"built for {name}, and this machine runs " in refusal(folder)
    library.write_text("INPUT(libMNN.so.3)\n")
    assert "no shared library" in refusal(folder)
