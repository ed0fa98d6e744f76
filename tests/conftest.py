"""Fixtures that several suites share."""

import os

# Before numpy is loaded: BLAS reads its number of threads once, and workers run with one.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests that run side by side would otherwise fight for the cores with torch's threads.
    os.environ["OMP_NUM_THREADS"] = "1"

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bench.base.cache import CACHE_VARIABLE
from bench.cli import main
from bench.embed.audio_input import DEFAULT_SPEECH
from bench.models.make_export import ExportRequest, export_here
from engines import registry

from .tiny_onnx import write_tiny

#: Engine -> the MNN that the environment names for it; only the tests of these libraries use them.
MNN_HOMES = {
    name: os.environ.pop(library.variable, "")
    for name in ("mnn", "mnn-mini")
    for library in [registry.get(name).library]
    if library is not None
}
PLUGINS = Path(__file__).parent / "plugins"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would their children: those of the tests get
    # the default handler back.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every benchmark as one that measures."""
    for item in items:
        if "benchmark" in getattr(item, "fixturenames", ()):
            item.add_marker("measures")


@pytest.fixture(scope="session")
def short_speech() -> Path:
    """Return a recording of one second, a single chunk."""
    return DEFAULT_SPEECH / "short_en_us.flac"


@pytest.fixture(scope="session")
def write_tiny_onnx() -> Callable[..., Path]:
    """Return the function that writes a small ONNX model; see `tiny_onnx`."""
    return write_tiny


@pytest.fixture(scope="session")
def mnn_homes() -> dict[str, str]:
    """Return engine -> the folder of the MNN that the environment names for it, or nothing."""
    return MNN_HOMES


@pytest.fixture(scope="session")
def spawned() -> Command:
    """Return a function that runs the command line in a process, the plug-ins installed."""

    def run(*arguments: object, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PLUGINS)},
            timeout=timeout_s,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def rtfbench() -> Command:
    """Return a function that runs the command line in this process, the plug-ins installed.

    Workers and helpers are processes all the same; only an export, which loads torch, is not.
    """

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv = list(map(str, arguments))
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            plugins_installed(),
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            patch.setattr(
                "bench.commands.export.ask", lambda _, request, *__, **___: export_here(request)
            )
            patch.setenv("PYTHONPATH", str(PLUGINS))
            patch.setenv("COLUMNS", "80")
            try:
                main(argv)
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
        return subprocess.CompletedProcess(argv, status, stdout.getvalue(), stderr.getvalue())

    return run


def export_without_a_process(module: str, request: ExportRequest, *_: object, **__: object) -> Any:
    """Answer as the process would that is asked otherwise."""
    return export_here(request)


@contextmanager
def plugins_installed() -> Iterator[None]:
    """Have this process find the plug-ins of the tests, until the block ends."""
    sys.path.insert(0, str(PLUGINS))
    forget_engines()
    try:
        yield
    finally:
        sys.path.remove(str(PLUGINS))
        forget_engines()


def forget_engines() -> None:
    """Look for engines anew."""
    registry._entry_points.cache_clear()
    registry.get.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def cache(request: pytest.FixtureRequest) -> Path:
    """Use a cache of the tests' own, which all their processes share; keys keep it true."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("rtfbench")
    os.environ[CACHE_VARIABLE] = str(folder)
    return folder
