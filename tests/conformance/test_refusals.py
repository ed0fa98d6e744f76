"""What single engines refuse."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.testing import tiny_model
from engines import registry
from engines.protocol import EngineError, ModelArtifact, SessionOptions


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    """Return the dynamic model as MNN reads it."""
    return tiny_model.write(tmp_path_factory.mktemp("tiny"), "mnn", "dynamic")


def test_a_declared_form_is_checked(dynamic: ModelArtifact) -> None:
    """MNN: a dynamic file declared static is refused, not resized behind the user's back."""
    disguised = replace(dynamic, form="static", num_frames=tiny_model.STATIC_FRAMES)
    with pytest.raises(EngineError, match="declared static"):
        registry.get("mnn").open(disguised, SessionOptions())


def test_the_minimal_contract_refuses_dynamic_models(dynamic: ModelArtifact) -> None:
    """mnn-mini refuses a dynamic model with the cure, also when it is opened directly."""
    engine = registry.get("mnn-mini")
    assert "--num-frames" in engine.supports(dynamic, SessionOptions()).reason
    with pytest.raises(EngineError, match="--num-frames"):
        engine.open(dynamic, SessionOptions())


def test_an_unknown_engine_is_named_with_suggestions() -> None:
    """A misspelt engine brings the nearest name."""
    with pytest.raises(registry.UnknownEngineError, match="onnxruntime"):
        registry.get("onnxrutime")


def test_another_runtimes_file_is_refused(dynamic: ModelArtifact, tmp_path: Path) -> None:
    """Another runtime's file is refused before it is opened, with the way to the right one."""
    support = registry.get("onnxruntime").supports(dynamic, SessionOptions())
    assert not support.ok
    assert ".onnx file" in support.reason
