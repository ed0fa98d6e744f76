"""Fixtures that several suites share."""

import os

# Before numpy is loaded: BLAS reads its number of threads once, and workers run with one.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests that run side by side would otherwise fight for the cores with torch's threads.
    os.environ["OMP_NUM_THREADS"] = "1"

import fcntl
import gc
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings

from rtfbench.base.cache import CACHE_VARIABLE
from rtfbench.commands import main
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.engines import registry

from .tiny_onnx import write_tiny

# The tests' own engines are installed, here and in every process that is started: before the
# registry looks for engines, which it does once.
PLUGINS = str(Path(__file__).parent / "plugins")
sys.path.append(PLUGINS)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [PLUGINS, os.environ.get("PYTHONPATH", "")])
)
# The tests start thousands of processes: where the shell forbids bytecode, as containers like to,
# each of them would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Engine -> the MNN that the environment names for it; only the tests of these libraries use them.
MNN_HOMES = {
    name: os.environ.pop(library.variable, "")
    for name in ("mnn", "mnn-mini")
    for library in [registry.get(name).library]
    if library is not None
}

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would their children: those of the tests get
    # the default handler back.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Under nohup SIGHUP is ignored as well, which children inherit: a command of the tests that is sent
# one would not notice.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

#: As many examples of a property as a second allows, the same ones each time; and with
#: `--hypothesis-profile deep`, before a release, as many as find the rest.
settings.register_profile("quick", max_examples=80, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=3000, deadline=None, database=None)
settings.load_profile("quick")

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Once = Callable[[str, Callable[[Path], object]], Path]


#: No command of the tests takes so long.
LONGEST_S = 3600.0
#: Without any of these words in it, a file has no test that measures.
MEASURING = re.compile(r"\b(measures|speed|benchmark)\b")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that have none of the tests that measure, where those are asked for."""
    asked = str(config.option.markexpr).startswith(("measures", "speed"))
    if not asked or collection_path.suffix != ".py":
        return None
    return not MEASURING.search(collection_path.read_text(encoding="utf-8")) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every benchmark, and every test of speed, as one that measures."""
    for item in items:
        if "benchmark" in getattr(item, "fixturenames", ()) or item.get_closest_marker("speed"):
            item.add_marker("measures")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector what stays: the modules of all tests are a million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
def rtfbench() -> Command:
    """Return a function that runs the command line in this process.

    What a command starts, its workers for instance, are processes as ever; only the seconds that
    it takes to load the command itself are saved. What it would say of its progress because the
    machine is slow is not said.
    """
    from rtfbench.commands import progress

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv, status = [str(each) for each in arguments], 0
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(StringIO()) as stdout,
            redirect_stderr(StringIO()) as stderr,
        ):
            patch.setattr(progress, "QUIET_S", LONGEST_S)
            try:
                main(argv)
            except SystemExit as ended:
                status = int(ended.code or 0)
        return subprocess.CompletedProcess(argv, status, stdout.getvalue(), stderr.getvalue())

    return run


@pytest.fixture(scope="session")
def spawned() -> Command:
    """Return a function that runs the command line in a process of its own."""

    def run(*arguments: object, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rtfbench.commands", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            timeout=timeout_s,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run, which its processes share: each has its own within it."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def cache(shared: Path) -> Path:
    """Use a cache of the tests' own, so that everything in it is made by this code."""
    folder = shared / "cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ[CACHE_VARIABLE] = str(folder)
    return folder


@pytest.fixture(scope="session")
def once(shared: Path) -> Once:
    """Return a function that has a folder filled once for all processes of the tests.

    Whoever comes while it is being filled waits.
    """

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = shared / name
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                part = Path(mkdtemp(dir=shared))
                fill(part)
                part.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session", autouse=True)
def answered_here() -> Iterator[None]:
    """Have model files read and made in this process; see `answered_here`."""
    from rtfbench.models import model_files, workload

    from . import answered_here

    with pytest.MonkeyPatch.context() as patch:
        for module in (model_files, workload):
            patch.setattr(module, "ask", answered_here.ask)
        yield


@pytest.fixture(scope="session", autouse=True)
def plain_pytest() -> None:
    """Keep the options of these tests from a pytest that a test starts, and spare it hypothesis.

    Whether tests pass is read from what that pytest prints; hypothesis takes a second to load.
    """
    os.environ["PYTEST_ADDOPTS"] = "-p no:hypothesispytest"
