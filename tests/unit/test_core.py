"""What a core reaches: the kernels check themselves by the clock."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtfbench.engines.native import compiler
from rtfbench.engines.protocol import EngineError
from rtfbench.measure.machine import core, devices
from rtfbench.measure.machine.core import FLOAT32, SOURCE, Kernels, kernels, probe
from rtfbench.measure.machine.devices import HOST_CPU
from rtfbench.results.host import Probes

#: So long may a core's other hardware thread be another guest's.
READINGS_S = 30.0


def _is_full(flop_a_cycle: float) -> bool:
    return min(abs(flop_a_cycle / full - 1) for full in (8, 16, 32, 64)) < 0.1


@pytest.fixture(scope="module")
def found() -> Kernels:
    """Return this machine's kernels; without a compiler there are none to test."""
    made = kernels()
    if made is None:
        pytest.skip("no C++ compiler")
    return made


def test_the_source_is_short() -> None:
    """It can be read at a sitting."""
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 150


def test_no_warnings(monkeypatch: pytest.MonkeyPatch, found: Kernels) -> None:
    """The kernels compile with all warnings as errors."""
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-Wall", "-Wextra", "-Werror"))
    assert compiler.shared_library(SOURCE, flags=("-std=c++11",)).is_file()


@pytest.mark.measures
def test_flop_a_cycle_are_what_cores_do(found: Kernels) -> None:
    """Near 8, 16, 32 or 64 by the clock that additions tell; a second thread does no harm.

    A guest of another may take the multiplying units of a core's other hardware thread for
    seconds, which additions that wait for each other do not feel: so as in a run, the largest
    reading is the core's.
    """
    deadline = time.monotonic() + READINGS_S
    largest = 0.0
    while not _is_full(largest) and time.monotonic() < deadline:
        largest = max(largest, probe().flop_a_cycle or 0.0)
    assert _is_full(largest), largest
    widest = found.widest(FLOAT32)
    assert widest is not None
    assert found.giga_ops(widest, threads=2) > 0.9 * found.giga_ops(widest)


def test_without_a_compiler_there_is_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands in for the peak: neither it nor the clock is named, what else is known is."""

    def none(*_: object, **__: object) -> None:
        raise EngineError("no C++ compiler")

    kernels.cache_clear()
    monkeypatch.setattr("rtfbench.measure.machine.core.compiler.shared_library", none)
    try:
        assert core.ceiling() is None
        probes: Probes = probe()
    finally:
        kernels.cache_clear()
    assert probes == Probes(copy_gb_s=probes.copy_gb_s)
    assert probes.copy_gb_s is not None


SHARED = """
import os, subprocess, sys, time
from rtfbench.measure.machine.devices import waited_ns
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
time.sleep(0.2)
waited, cpu, wall = waited_ns(), time.process_time_ns(), time.perf_counter_ns()
while time.process_time_ns() - cpu < 3e8:
    pass
wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
print((waited_ns() - waited) / wall, cpu / wall)
other.kill()
"""


def test_a_kernel_that_counts_no_threads_at_work_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without schedstat the threads that exist are counted, and waiting is not known."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    monkeypatch.setattr(devices, "TASKS", tmp_path)
    assert (devices.count_threads(), devices.waited_ns()) == (2, None)
    found = HOST_CPU.prove(lambda: None, wanted=2, started=1)
    assert (found.effective, "does not tell" in found.note) == ({}, True)


def test_the_kernel_counts_how_long_others_had_the_core() -> None:
    """Of a process that shares its core, waiting and computing are all of the time."""
    done = subprocess.run(
        [sys.executable, "-c", SHARED], capture_output=True, text=True, timeout=60, check=True
    )
    waiting, computing = map(float, done.stdout.split())
    assert waiting > 0.2
    assert waiting + computing == pytest.approx(1, abs=0.1)
