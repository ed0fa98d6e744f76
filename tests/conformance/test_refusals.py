"""What single engines refuse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtfbench.engines import registry
from rtfbench.engines.protocol import EngineError, ModelArtifact, SessionOptions
from rtfbench.testing import tiny_model


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


def test_a_name_that_is_near_none_is_told_all() -> None:
    """What resembles no engine is told which there are, and not that any of them was meant."""
    with pytest.raises(registry.UnknownEngineError, match=r"known: .*mnn.*onnxruntime") as caught:
        registry.get("zzzzzz")
    assert "did you mean" not in str(caught.value)


def test_another_runtimes_file_is_refused(dynamic: ModelArtifact, tmp_path: Path) -> None:
    """Another runtime's file is refused before it is opened, with the way to the right one."""
    support = registry.get("onnxruntime").supports(dynamic, SessionOptions())
    assert not support.ok
    assert ".onnx file" in support.reason


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"device": "cuda"}])
def test_other_providers_compute_float32_on_the_cpu(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """onnxruntime: another provider is refused elsewhere, whatever this build has."""
    artifact = tiny_model.write(tmp_path, "onnx", "dynamic")
    asked = SessionOptions(settings={"provider": "openvino"}, **options)
    support = registry.get("onnxruntime").supports(artifact, asked)
    assert not support.ok
    assert "choose provider=cpu" in support.reason
