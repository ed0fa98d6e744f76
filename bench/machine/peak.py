"""The ceiling that engines are held against, measured between the blocks of a run."""

from typing import Protocol

from bench.machine.core import Kernel, Kernels, kernels


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
