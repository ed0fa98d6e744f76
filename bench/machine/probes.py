"""Measured when a run begins: the clock, memory copies, and what a core can compute at best."""

import time

import numpy as np
import numpy.typing as npt

from bench.machine.core import kernels
from bench.machine.peak import ceiling
from bench.results.host import Probes

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
