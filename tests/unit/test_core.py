"""What a core reaches: the kernels check themselves by the clock."""

import pytest

from bench.machine import peak
from bench.machine.core import FLOAT32, SOURCE, Kernels, kernels
from bench.machine.probes import probe
from bench.results.host import Probes
from engines.native import compiler
from engines.protocol import EngineError


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
    """Near 8, 16, 32 or 64 by the clock that additions tell; a second thread does no harm."""
    probes = probe()
    cycle = probes.flop_a_cycle
    assert cycle is not None
    assert min(abs(cycle / full - 1) for full in (8, 16, 32, 64)) < 0.1
    widest = found.widest(FLOAT32)
    assert widest is not None
    assert found.giga_ops(widest, threads=2) > 0.9 * found.giga_ops(widest)


def test_without_a_compiler_there_is_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands in for the peak: neither it nor the clock is named, what else is known is."""

    def none(*_: object, **__: object) -> None:
        raise EngineError("no C++ compiler")

    kernels.cache_clear()
    monkeypatch.setattr("bench.machine.core.compiler.shared_library", none)
    try:
        assert peak.ceiling() is None
        probes: Probes = probe()
    finally:
        kernels.cache_clear()
    assert probes == Probes(copy_gb_s=probes.copy_gb_s)
    assert probes.copy_gb_s is not None
