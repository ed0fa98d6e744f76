"""The ceiling that engines are held against, measured between the blocks of a run."""

import ctypes
import timeit
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_char_p, c_int32, c_int64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

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
        self.clock = next(kernel for kernel in found if kernel.name == CLOCK)
        self.all = tuple(kernel for kernel in found if kernel is not self.clock)

    def widest(self, kind: str = FLOAT32) -> Kernel | None:
        """Return the kernel of a type that does most in a round."""
        named = [kernel for kernel in self.all if kernel.name.split()[0] == kind]
        return max(named, key=lambda kernel: kernel.operations, default=None)

    def giga_ops(self, kernel: Kernel, *, threads: int = 1) -> float:
        """Return what a kernel reaches on so many threads, in 10^9 operations a second."""
        self._took_ns(kernel, 1000)  # wakes the units of wide registers
        rounds = max(1000 * ROUND_NS // self._took_ns(kernel, 1000), 1)

        def once(_: int) -> float:
            return kernel.operations * rounds / self._took_ns(kernel, rounds)

        # The interpreter's lock is released during a call, so that the threads run at once.
        with ThreadPoolExecutor(threads) as pool:
            each: Callable[..., Iterable[float]] = map if threads == 1 else pool.map
            return max(sum(each(once, range(threads))) for _ in range(ROUNDS))

    def _took_ns(self, kernel: Kernel, rounds: int) -> int:
        return max(int(self._ns(kernel.number, rounds)), 1)


@cache
def kernels() -> Kernels | None:
    """Return this processor's kernels, None where no compiler makes them."""
    try:
        library = compiler.shared_library(SOURCE, flags=("-std=c++11",), scratch=process_folder())
        return Kernels(ctypes.CDLL(str(library)))
    except (EngineError, OSError):
        return None


class Ceiling(Protocol):
    """What single-precision arithmetic reaches at best on so many threads."""

    @property
    def name(self) -> str:
        """What was computed."""
        ...

    def gflops(self, threads: int) -> float:
        """Return 10^9 operations a second, as they are at this moment."""
        ...


@dataclass(frozen=True)
class FmaPeak:
    """Fused multiply-adds on registers alone, in the widest instruction set: a core's peak."""

    kernels: Kernels
    kernel: Kernel

    @property
    def name(self) -> str:
        """The type and the instruction set."""
        return self.kernel.name

    def gflops(self, threads: int) -> float:
        """Return what all threads together reach."""
        return self.kernels.giga_ops(self.kernel, threads=threads)


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
    source = np.ones(COPY_BYTES // 8)
    target = np.empty_like(source)
    copy_s = min(timeit.repeat(lambda: np.copyto(target, source), repeat=COPIES, number=1))
    peaks = {kernel.name: round(found.giga_ops(kernel), 1) for kernel in found.all} if found else {}
    return Probes(
        clock_ghz=round(found.giga_ops(found.clock), 3) if found else None,
        copy_gb_s=round(2 * COPY_BYTES / copy_s / 1e9, 1),  # read, and written
        peaks=peaks,
        ceiling=held.name if held else "",
    )
