"""What is killed leaves nothing behind: no process, and no folder after the next start."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.plugins.faulty_engines import WAITS_S

from .processes import start

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Tiny = Callable[..., Path]
#: An end that a shell gives, and one that nobody can refuse.
ENDS = (signal.SIGKILL, signal.SIGTERM)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Return a folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def command(write_tiny_onnx: Tiny, short_speech: Path, tmp_path: Path) -> list[object]:
    """Return an extraction by a small model, which still needs an engine."""
    model = write_tiny_onnx(tmp_path / f"waits_{tmp_path.name}.onnx")
    return ["extract", "--wav", short_speech, "--model", model]


def sleepers() -> set[int]:
    """Return the ids of the processes that sleep for `WAITS_S`."""
    return set(_with_argument(WAITS_S))


def _with_argument(argument: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[0] == b"sleep" and argument.encode() in arguments:
            yield int(path.name)


def wait_until(true: Callable[[], object]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end_while_it_waits(
    arguments: list[object], environment: dict[str, str], how: signal.Signals
) -> None:
    """Start a command, end it once a program that it started waits, and look for that program."""
    before = sleepers()
    process = start(*arguments, environment=environment)
    wait_until(lambda: sleepers() - before or process.poll() is not None)
    mine = sleepers() - before
    assert mine, process.communicate()
    process.send_signal(how)
    process.communicate(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in mine))


@pytest.mark.parametrize("how", ENDS)
def test_a_converter_ends_with_the_command(
    command: list[object], scratch: Path, how: signal.Signals
) -> None:
    """A process that prepares, and a program that it runs; the next start deletes their folders."""
    environment = {"TMPDIR": str(scratch)}
    end_while_it_waits([*command, "--engine", "faulty-converter"], environment, how)
    (place,) = scratch.iterdir()
    assert len(list(place.iterdir())) == (1 if how == signal.SIGKILL else 0)
    process = start(*command, "--engine", "onnxruntime", environment=environment)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert not list(place.iterdir())


def test_a_compiler_ends_with_the_command(
    model: Path, short_speech: Path, scratch: Path, tmp_path: Path
) -> None:
    """One that waits for a network, say."""
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\nexec sleep {WAITS_S}\n")
    compiler.chmod(0o700)
    environment = {"CXX": str(compiler), "TMPDIR": str(scratch)}
    arguments = ["run", "--model", model, "--audio", short_speech, "--out", tmp_path / "out"]
    end_while_it_waits(arguments, environment, signal.SIGKILL)


@pytest.mark.parametrize("how", ENDS)
def test_a_command_of_a_list_ends_with_extract(
    model: Path, scratch: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """It writes nothing, so no broken pipe ends it."""
    scp = tmp_path / "wav.scp"
    scp.write_text(f"a sleep {WAITS_S} |\n")
    arguments = ["extract", "--wav-scp", scp, "--allow-pipes", "--model", model]
    end_while_it_waits(arguments, {"TMPDIR": str(scratch)}, how)


def test_a_part_of_a_killed_writer_is_deleted(
    rtfbench: Command, command: list[object], cache: Path
) -> None:
    """What is half written into the cache goes with the next that is written there."""
    options = [*command, "--engine", "mnn"]
    assert rtfbench(*options).returncode == 0
    model = Path(str(command[-1]))
    (folder,) = (cache / "models").glob(f"{model.stem}_onnx-*")
    left = folder / ".rtfbench-left"
    left.mkdir()
    (left / "model.mnn").write_bytes(b"half")
    for made in folder.glob("*.mnn"):
        os.truncate(made, 100)
    assert rtfbench(*options).returncode == 0
    assert not left.exists()
