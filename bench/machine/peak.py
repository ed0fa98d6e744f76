"""The ceiling that engines are held against, measured between the blocks of a run."""

import time
from typing import Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from bench.machine.core import Kernel, Kernels, kernels

#: Large enough to come near the peak, small enough to take some milliseconds.
SIZE = 640
ROUNDS = 3


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


class Gemm:
    """Multiplies the same two square matrices again and again: what is there without a compiler.

    No ceiling: a matrix product may use less than a core has.
    """

    name = "matrix product of numpy"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._a = rng.standard_normal((SIZE, SIZE), np.float32)
        self._b = rng.standard_normal((SIZE, SIZE), np.float32)
        self._out = np.empty((SIZE, SIZE), np.float32)
        self._pools = ThreadpoolController()

    def gflops(self, threads: int) -> float:
        """Return the best of a few products, in 10^9 operations a second (2 n^3 a product)."""
        with self._pools.limit(limits=threads, user_api="blas"):
            return 2 * SIZE**3 / min(self._once_s() for _ in range(ROUNDS)) / 1e9

    def _once_s(self) -> float:
        began = time.perf_counter()
        np.matmul(self._a, self._b, out=self._out)
        return time.perf_counter() - began


def ceiling() -> Ceiling:
    """Return the best ceiling that this machine can measure."""
    found = kernels()
    widest = found.widest() if found else None
    return FmaPeak(found, widest) if found and widest else Gemm()
