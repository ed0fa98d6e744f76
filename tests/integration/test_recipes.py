"""How files in fewer bits are made: which layers stay in float32, and where ranges come from."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtfbench.embed.scoring import cosine
from rtfbench.engines import registry
from rtfbench.engines.protocol import (
    ModelArtifact,
    Quantization,
    SessionOptions,
    completed_settings,
)
from rtfbench.testing import tiny_model

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Quantized = Callable[..., tuple[ModelArtifact, str]]


@pytest.fixture
def quantized(tmp_path: Path) -> Quantized:
    """Return a function that makes a file in int8 and tells its recipe."""

    def make(engine: str, **settings: str) -> tuple[ModelArtifact, str]:
        found = tiny_model.write(tmp_path, "onnx", "dynamic")
        path = tmp_path / "int8.onnx"
        rng = np.random.default_rng(0)
        wanted = Quantization(
            precision="int8",
            static=False,
            calibration_NTM=rng.standard_normal((8, 50, 80)).astype(np.float32),
            calibrated="calibrated on noise",
            settings=completed_settings(registry.get(engine).recipes, settings),
        )
        recipe = registry.get(engine).quantize(found.path, path, wanted)
        return ModelArtifact(**{**vars(found), "path": path, "precision": "int8"}), recipe

    return make


def operators(engine: str, artifact: ModelArtifact) -> dict[str, int]:
    """Return what multiplies, by what it computes in."""
    return dict(registry.get(engine).open(artifact, SessionOptions(precision="int8")).operators())


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("which", "in_int8"), [("none", 2), ("first", 1), ("last", 1), ("both", 0)]
)
def test_layers_that_stay_in_float32(
    quantized: Quantized, engine: str, which: str, in_int8: int
) -> None:
    """The first and the last layer compute in float32 where asked; the recipe says so."""
    artifact, recipe = quantized(engine, float_layers=which)
    found = operators(engine, artifact)
    assert (found.get("int8", 0), found.get("float32", 0)) == (in_int8, 2 - in_int8)
    assert ("but for" in recipe) == (which != "none")
    assert "calibrated on noise" in recipe


def test_ranges_of_each_run(quantized: Quantized) -> None:
    """Dynamic ranges need no calibration, compute in int8, and stay near float32."""
    artifact, recipe = quantized("onnxruntime", ranges="dynamic")
    assert "calibrated" not in recipe
    assert operators("onnxruntime", artifact)["int8"] == 2
    input_BTM = np.random.default_rng(1).standard_normal((1, 50, 80)).astype(np.float32)
    session = registry.get("onnxruntime").open(artifact, SessionOptions(precision="int8"))
    found_D, expected_D = session.run(input_BTM)[0], tiny_model.reference(input_BTM)[0]
    assert cosine(found_D, expected_D) > 0.99


def test_a_recipe_is_of_fewer_bits(rtfbench: Command) -> None:
    """Asked of float32 it is refused in one line with the cure."""
    done = rtfbench("run", "--engine", "onnxruntime[float_layers=first]", "--model", "xvec")
    assert done.returncode == 2
    assert "onnxruntime:int8[float_layers=first]" in done.stderr
