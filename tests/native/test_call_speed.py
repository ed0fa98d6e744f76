"""A call through the shim costs no more than the wheel's Python call on the same model.

The model is the smallest: nearly all of its time is what the call itself costs. Wheel and library
take turns, each in a process of its own.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pydantic import TypeAdapter

from rtfbench.base.cache import sha256_of
from rtfbench.engines.mnn_files import to_mnn
from rtfbench.engines.protocol import ModelArtifact

pytestmark = pytest.mark.speed

CALLS, ROUNDS, FRAMES = 200, 60, 50

CALLER = """
import os, sys, time

answer = os.dup(1)
os.dup2(2, 1)  # runtimes print to standard output

import numpy as np
from pydantic import TypeAdapter

from rtfbench.engines import registry
from rtfbench.engines.protocol import ModelArtifact, SessionOptions

engine_name, home, text = sys.argv[1:]
artifact = TypeAdapter(ModelArtifact).validate_json(text)
settings = {"home": home} if home else {}
session = registry.on(engine_name, settings).open(artifact, SessionOptions(1, settings))
features_BTM = np.ones((1, artifact.num_frames, 80), np.float32)
for line in sys.stdin:
    before_ns = time.perf_counter_ns()
    for _ in range(int(line)):
        session.run(features_BTM)
    os.write(answer, b"%d\\n" % (time.perf_counter_ns() - before_ns))
"""

pytest.importorskip("MNN")

Caller = Callable[[], int]


@pytest.fixture(scope="module")
def model(write_tiny_onnx: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make the model and return its artifact as JSON."""
    folder = tmp_path_factory.mktemp("tiny")
    source = write_tiny_onnx(folder / "tiny.onnx", num_frames=FRAMES)
    path = folder / "tiny.mnn"
    to_mnn(source, path, static=True)
    artifact = ModelArtifact(
        name="tiny",
        path=path,
        format="mnn",
        form="static",
        num_frames=FRAMES,
        feat_dim=80,
        embedding_dim=16,
        sha256=sha256_of(path),
    )
    return TypeAdapter(ModelArtifact).dump_json(artifact).decode()


@pytest.fixture
def callers(engine: str, home: Path, model: str) -> Iterator[dict[str, Caller]]:
    """Return functions that make `CALLS` calls elsewhere and return their nanoseconds."""
    with ExitStack() as stack:
        yield {
            name: _caller(stack, engine, folder, model)
            for name, folder in (("shim", str(home)), ("wheel", ""))
        }


def _caller(stack: ExitStack, *arguments: str) -> Caller:
    child = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", CALLER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
    )
    stack.callback(child.kill)

    def call() -> int:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{CALLS}\n")
        child.stdin.flush()
        return int(child.stdout.readline())

    call()
    return call


@pytest.mark.benchmark(group=f"{CALLS} calls of a tiny model")
@pytest.mark.parametrize("name", ["shim", "wheel"])
def test_benchmark(benchmark: Any, callers: dict[str, Caller], name: str) -> None:
    """The time of each is reported side by side."""
    assert benchmark.pedantic(callers[name], rounds=20, warmup_rounds=2) > 0


def test_no_dearer_than_the_wheel(callers: dict[str, Caller]) -> None:
    """In turns, the median of the paired ratios shim / wheel is at most 1."""
    elapsed_ns: dict[str, list[int]] = {name: [] for name in callers}
    for index in range(ROUNDS):
        for name in sorted(callers, reverse=index % 2 == 0):
            elapsed_ns[name].append(callers[name]())
    pairs = zip(elapsed_ns["shim"], elapsed_ns["wheel"], strict=True)
    ratio = median(shim / wheel for shim, wheel in pairs)
    assert ratio <= 1, f"{ratio:.2f} times as long: {elapsed_ns}"
