"""Matrix products, the ceiling where no compiler makes a better one: the best that runs here.

No ceiling, in truth: a product may use less than a core has. numpy's is tried, and one node in each
installed runtime that reads ONNX and can be loaded without a trace in this process.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from bench.base.scratch import process_folder
from engines import registry
from engines.protocol import EngineError, ModelArtifact, Session, SessionOptions

#: Large enough to come near the peak, small enough to take some milliseconds.
SIZE = 640
ROUNDS = 3
#: Runtimes by name, with settings that leave no thread spinning beside what is measured next.
RUNTIMES = {"onnxruntime": {"spinning": "off"}}


class Product(Protocol):
    """One way to multiply two square matrices."""

    name: str

    def prepare(self, threads: int) -> Callable[[], object]:
        """Return what multiplies once, on so many threads."""
        ...


class NumpyProduct:
    """A product of numpy's BLAS."""

    name = "numpy"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._a = rng.standard_normal((SIZE, SIZE), np.float32)
        self._b = rng.standard_normal((SIZE, SIZE), np.float32)
        self._out = np.empty((SIZE, SIZE), np.float32)
        self._pools = ThreadpoolController()

    def prepare(self, threads: int) -> Callable[[], object]:
        """Return the product, with BLAS limited to these threads while it runs."""

        def once() -> None:
            with self._pools.limit(limits=threads, user_api="blas"):
                np.matmul(self._a, self._b, out=self._out)

        return once


class RuntimeProduct:
    """A model of one node in a runtime, through its engine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._features_BTM = np.random.default_rng(0).standard_normal((1, SIZE, SIZE), np.float32)
        self._sessions: dict[int, Session] = {}

    def prepare(self, threads: int) -> Callable[[], object]:
        """Return a run of the session with these threads.

        Raises:
            EngineError: the runtime is not there, or cannot.
            ImportError: onnx is not installed.
        """
        if threads not in self._sessions:
            found = registry.get(self.name).probe()
            if not found.ok:
                raise EngineError(found.reason)
            options = SessionOptions(threads, RUNTIMES[self.name])
            with TemporaryDirectory(dir=process_folder()) as folder:
                artifact = _one_node(Path(folder))
                self._sessions[threads] = registry.get(self.name).open(artifact, options)
        session = self._sessions[threads]
        return lambda: session.run(self._features_BTM)


class BestProduct:
    """The best of several products, in 10^9 operations a second (2 n^3 a product)."""

    def __init__(self, products: tuple[Product, ...]) -> None:
        self._products = products
        self.name = f"best matrix product of {', '.join(each.name for each in products)}"

    def gflops(self, threads: int) -> float:
        """Return what the best one reaches now, of a few rounds each."""
        best_s = min(
            _took_s(once)
            for once in [each.prepare(threads) for each in self._products]
            for _ in range(ROUNDS)
        )
        return 2 * SIZE**3 / best_s / 1e9


def products() -> BestProduct:
    """Return all products that this process can compute."""
    return BestProduct((NumpyProduct(), *_of_runtimes()))


def _of_runtimes() -> Iterator[Product]:
    for name in RUNTIMES:
        try:
            product = RuntimeProduct(name)
            product.prepare(1)()
        except (EngineError, ImportError):
            continue  # a runtime less to be the best
        yield product


def _one_node(folder: Path) -> ModelArtifact:
    """Write a model that multiplies its input by a matrix.

    Raises:
        ImportError: onnx is not installed.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    matrix = np.random.default_rng(1).standard_normal((SIZE, SIZE), np.float32)
    shape = [1, SIZE, SIZE]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "matrix"], ["product"])],
        "product",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    path = folder / "product.onnx"
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        str(path),
    )
    return ModelArtifact(
        name="matrix product",
        path=path,
        format="onnx",
        form="static",
        num_frames=SIZE,
        feat_dim=SIZE,
        embedding_dim=SIZE,
        sha256="",
    )


def _took_s(once: Callable[[], object]) -> float:
    began = time.perf_counter()
    once()
    return time.perf_counter() - began
