"""What the machine can do at best: single-precision matrix products on so many threads."""

import time

import numpy as np
from threadpoolctl import ThreadpoolController

#: Large enough to come near the peak, small enough to take some milliseconds.
SIZE = 640
ROUNDS = 3


class Gemm:
    """Multiplies the same two square matrices again and again."""

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
