"""The ceiling that engines are held against, measured between the blocks of a run."""

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_char_p, c_int32, c_int64
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rtfbench.base.scratch import process_folder
from rtfbench.engines import native
from rtfbench.engines.native import compiler
from rtfbench.engines.protocol import EngineError
from rtfbench.results.host import Probes

SOURCE = Path(native.__file__).with_name("core.cpp")
#: The kernel that tells the clock: each addition waits for the one before, for one cycle.
CLOCK = "additions"
FLOAT32 = "float32"
#: A measurement is the best of so many, of about so long each.
ROUNDS, ROUND_NS = 5, 1_000_000


class Kernel(NamedTuple):
    """A loop of one instruction set; a round of it does so many operations."""

    number: int
    name: str
    operations: int


class Kernels:
    """The kernels that this processor has."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._ns = library.rtfbench_core_ns
        self._ns.argtypes, self._ns.restype = (c_int32, c_int64), c_int64
        library.rtfbench_core_name.restype = c_char_p
        library.rtfbench_core_operations.restype = c_int64
        found = [
            Kernel(
                number,
                library.rtfbench_core_name(number).decode(),
                library.rtfbench_core_operations(number),
            )
            for number in range(library.rtfbench_core_count())
            if library.rtfbench_core_there(number)
        ]
        self._clock = next(kernel for kernel in found if kernel.name == CLOCK)
        self.all = tuple(kernel for kernel in found if kernel is not self._clock)

    def clock_ghz(self) -> float:
        """Return the clock as additions tell it, in 10^9 cycles a second."""
        return self._best(self._clock, threads=1)

    def giga_ops(self, kernel: Kernel, *, threads: int = 1) -> float:
        """Return what a kernel reaches on so many threads, in 10^9 operations a second."""
        return self._best(kernel, threads=threads)

    def widest(self, kind: str = FLOAT32) -> Kernel | None:
        """Return the kernel of a type that does most in a round."""
        named = [kernel for kernel in self.all if kernel.name.split()[0] == kind]
        return max(named, key=lambda kernel: kernel.operations, default=None)

    def _best(self, kernel: Kernel, *, threads: int) -> float:
        calls = self._calls(kernel)
        if threads == 1:
            return max(self._once(kernel, calls) for _ in range(ROUNDS))
        # The interpreter's lock is released during a call, so that the threads run at once.
        with ThreadPoolExecutor(threads) as pool:
            return max(
                sum(pool.map(lambda _: self._once(kernel, calls), range(threads)))
                for _ in range(ROUNDS)
            )

    def _calls(self, kernel: Kernel) -> int:
        """Return how many rounds take about as long as a measurement should."""
        rounds = 1000
        self._took_ns(kernel, rounds)  # wakes the units of wide registers
        return max(rounds * ROUND_NS // self._took_ns(kernel, rounds), 1)

    def _once(self, kernel: Kernel, rounds: int) -> float:
        return kernel.operations * rounds / self._took_ns(kernel, rounds)

    def _took_ns(self, kernel: Kernel, rounds: int) -> int:
        return max(int(self._ns(kernel.number, rounds)), 1)


@cache
def kernels() -> Kernels | None:
    """Return this processor's kernels, None where no compiler makes them."""
    try:
        library = compiler.shared_library(SOURCE, flags=("-std=c++11",), scratch=process_folder())
    except (EngineError, OSError):
        return None
    return Kernels(ctypes.CDLL(str(library)))


class Ceiling(Protocol):
    """What single-precision arithmetic reaches at best on so many threads."""

    @property
    def name(self) -> str:
        """What was computed."""
        ...

    def gflops(self, threads: int) -> float:
        """Return 10^9 operations a second, as they are at this moment."""
        ...


class FmaPeak:
    """Fused multiply-adds on registers alone, in the widest instruction set: a core's peak."""

    def __init__(self, kernels: Kernels, kernel: Kernel) -> None:
        self._kernels = kernels
        self._kernel = kernel

    @property
    def name(self) -> str:
        """The type and the instruction set."""
        return self._kernel.name

    def gflops(self, threads: int) -> float:
        """Return what all threads together reach."""
        return self._kernels.giga_ops(self._kernel, threads=threads)


def ceiling() -> Ceiling | None:
    """Return the peak of this machine, None where no compiler makes its kernels."""
    found = kernels()
    widest = found.widest() if found else None
    return FmaPeak(found, widest) if found and widest else None


#: Larger than any cache that a core has to itself.
COPY_BYTES = 64 * 2**20
COPIES = 4


def probe() -> Probes:
    """Measure this machine's core, in about a tenth of a second; the kernels are compiled once."""
    found, held = kernels(), ceiling()
    peaks = {kernel.name: round(found.giga_ops(kernel), 1) for kernel in found.all} if found else {}
    return Probes(
        clock_ghz=round(found.clock_ghz(), 3) if found else None,
        copy_gb_s=_copy_gb_s(),
        peaks=peaks,
        ceiling=held.name if held else "",
    )


def _copy_gb_s() -> float:
    """Return how fast memory is copied: bytes read and bytes written, the best of some copies."""
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    best_s = min(_once_s(source, target) for _ in range(COPIES))
    return round(2 * COPY_BYTES / best_s / 1e9, 1)


def _once_s(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> float:
    began = time.perf_counter()
    np.copyto(target, source)
    return time.perf_counter() - began
