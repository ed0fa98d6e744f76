"""What every engine must do; a new engine passes by being installed.

`RTFBENCH_TEST_ENGINE=NAME` runs the suite on one engine alone, `"mnn[home=DIR]"` on a library of
one's own: a process can hold one MNN only.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.plan.engine_spec import parse_engine
from engines import registry
from engines.native.engine import NativeMnnEngine
from engines.protocol import (
    Engine,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    Session,
    SessionOptions,
)

Artifacts = dict[tuple[Format, Form], ModelArtifact]
Reference = Callable[[FloatArray], FloatArray]

STATIC_FRAMES = 50


def features(num_frames: int, *, batch: int = 1, seed: int = 0) -> FloatArray:
    """Return random features float32 [B, T, 80]."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, num_frames, 80)).astype(np.float32)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each installed engine in turn."""
    spec = parse_engine(request.param)
    return registry.on(spec.name, spec.settings)


@pytest.fixture(params=["dynamic", "static"])
def artifact(request: pytest.FixtureRequest, engine: Engine, artifacts: Artifacts) -> ModelArtifact:
    """Return the tiny model in each form that the engine takes."""
    found = artifacts[engine.format, request.param]
    support = engine.supports(found, SessionOptions())
    if not support.ok:
        assert request.param != engine.default_form
        assert "--form" in support.reason, "a refusal names its cure"
        pytest.skip(support.reason)
    return found


def test_probe_tells_the_version(engine: Engine) -> None:
    """An installed engine says that it is available, and in which version."""
    found = engine.probe()
    assert found.ok, found.reason
    assert found.version


def test_name_is_the_registered_one(engine: Engine) -> None:
    """An engine is registered under its own name."""
    if isinstance(engine, NativeMnnEngine):
        pytest.skip("it takes the place of the registered one")
    assert registry.get(engine.name) is engine


def test_sessions_and_engines_satisfy_the_protocol(engine: Engine, artifact: ModelArtifact) -> None:
    """Engine and session have every member of the protocol."""
    assert isinstance(engine, Engine)
    assert isinstance(engine.open(artifact, SessionOptions()), Session)


def test_embedding_equals_torch(
    engine: Engine, artifact: ModelArtifact, reference: Reference
) -> None:
    """The embedding is torch's, within 1e-5 of its largest value; null computes nothing."""
    input_BTM = features(STATIC_FRAMES)
    output_BD = engine.open(artifact, SessionOptions()).run(input_BTM)
    expected_BD = reference(input_BTM)
    assert output_BD.shape == expected_BD.shape
    assert output_BD.dtype == np.float32
    if engine.name == "null":
        assert not output_BD.any()
    else:
        assert np.abs(output_BD - expected_BD).max() <= 1e-5 * np.abs(expected_BD).max()


def test_dynamic_models_change_length(
    engine: Engine, artifacts: Artifacts, reference: Reference
) -> None:
    """A dynamic model takes one length after another, and the first again."""
    found = artifacts[engine.format, "dynamic"]
    if engine.name == "null" or not engine.supports(found, SessionOptions()).ok:
        pytest.skip(f"{engine.name} runs no dynamic model")
    session = engine.open(found, SessionOptions())
    for num_frames in (STATIC_FRAMES, 33, 121, STATIC_FRAMES):
        input_BTM = features(num_frames, seed=num_frames)
        np.testing.assert_allclose(session.run(input_BTM), reference(input_BTM), atol=1e-5)


def test_output_belongs_to_the_caller(engine: Engine, artifact: ModelArtifact) -> None:
    """A later run does not overwrite an earlier result, nor does closing the session."""
    session = engine.open(artifact, SessionOptions())
    first_BD = session.run(features(STATIC_FRAMES, seed=1))
    kept_BD = first_BD.copy()
    session.run(features(STATIC_FRAMES, seed=2))
    session.close()
    np.testing.assert_array_equal(first_BD, kept_BD)


def test_input_stays_as_it_is(engine: Engine, artifact: ModelArtifact) -> None:
    """Running changes nothing in the caller's array."""
    input_BTM = features(STATIC_FRAMES)
    kept_BTM = input_BTM.copy()
    engine.open(artifact, SessionOptions()).run(input_BTM)
    np.testing.assert_array_equal(input_BTM, kept_BTM)


@pytest.mark.parametrize(
    "wrong_BTM",
    [
        features(STATIC_FRAMES)[..., :79],
        features(STATIC_FRAMES)[0],
        features(STATIC_FRAMES).astype(np.float64),
        features(STATIC_FRAMES)[:, :0],
    ],
    ids=["bins", "axes", "type", "empty"],
)
def test_features_of_another_shape_are_refused(
    engine: Engine, artifact: ModelArtifact, wrong_BTM: FloatArray
) -> None:
    """Features that the model cannot take are an error that says what it takes."""
    with pytest.raises(EngineError, match=r"float32 \[B, .*, 80\]"):
        engine.open(artifact, SessionOptions()).run(wrong_BTM)


def test_static_models_refuse_another_length(engine: Engine, artifacts: Artifacts) -> None:
    """A static model takes its own number of frames only."""
    session = engine.open(artifacts[engine.format, "static"], SessionOptions())
    with pytest.raises(EngineError, match=f"{STATIC_FRAMES}"):
        session.run(features(STATIC_FRAMES + 1))


def test_close_is_final_and_repeatable(engine: Engine, artifact: ModelArtifact) -> None:
    """A session may be closed twice; what it reports can still be read."""
    session = engine.open(artifact, SessionOptions())
    session.close()
    session.close()
    assert session.effective["threads"] == 1
    if engine.name != "null":
        with pytest.raises(EngineError, match="closed"):
            session.run(features(STATIC_FRAMES))


def test_every_setting_can_be_chosen(
    engine: Engine, artifact: ModelArtifact, reference: Reference
) -> None:
    """Every value of every setting opens, is what the session reports, and computes the same."""
    input_BTM = features(STATIC_FRAMES)
    for name, values in engine.choices.items():
        for value in values:
            session = engine.open(artifact, SessionOptions(settings={name: value}))
            assert session.effective[name] == value
            np.testing.assert_allclose(session.run(input_BTM), reference(input_BTM), atol=1e-5)


@pytest.mark.parametrize("settings", [{"colour": "blue"}, {"precision": "purple"}])
def test_unknown_settings_are_refused(
    engine: Engine, artifact: ModelArtifact, settings: dict[str, str]
) -> None:
    """A setting or value that the engine does not have is an error, never ignored."""
    if not engine.choices:
        pytest.skip(f"{engine.name} has no settings")
    support = engine.supports(artifact, SessionOptions(settings=settings))
    assert not support.ok
    assert engine.name in support.reason
    with pytest.raises(EngineError, match=engine.name):
        engine.open(artifact, SessionOptions(settings=settings))


def test_other_formats_are_refused(engine: Engine, artifacts: Artifacts) -> None:
    """A model of another runtime's format is refused with the way to the right one."""
    if engine.name == "null":
        pytest.skip("null never opens the file")
    other: Format = "mnn" if engine.format == "onnx" else "onnx"
    support = engine.supports(artifacts[other, engine.default_form], SessionOptions())
    assert not support.ok
    assert f".{engine.format} file" in support.reason, "a refusal names its cure"


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_files_that_are_no_models(
    engine: Engine, artifact: ModelArtifact, tmp_path: Path, damage: str
) -> None:
    """A file that is no complete model is an error that names the file."""
    if engine.name == "null":
        pytest.skip("null never opens the file")
    path = tmp_path / f"damaged.{artifact.format}"
    content = artifact.path.read_bytes()
    if damage != "missing":
        path.write_bytes({"empty": b"", "text": b"hello\n" * 99}.get(damage, content[:-2000]))
    with pytest.raises(EngineError, match=str(path)):
        engine.open(replace(artifact, path=path), SessionOptions())


def test_a_declared_form_is_checked(engine: Engine, artifacts: Artifacts) -> None:
    """MNN: a dynamic file declared static is refused, not resized behind the user's back."""
    if engine.format != "mnn":
        pytest.skip("onnxruntime checks shapes itself")
    dynamic = artifacts["mnn", "dynamic"]
    disguised = replace(dynamic, form="static", num_frames=STATIC_FRAMES)
    with pytest.raises(EngineError, match="declared static"):
        engine.open(disguised, SessionOptions())


def test_the_minimal_contract_refuses_dynamic_models(artifacts: Artifacts) -> None:
    """mnn-mini refuses a dynamic model with the cure, also when it is opened directly."""
    engine = registry.get("mnn-mini")
    dynamic = artifacts["mnn", "dynamic"]
    assert "--num-frames" in engine.supports(dynamic, SessionOptions()).reason
    with pytest.raises(EngineError, match="--num-frames"):
        engine.open(dynamic, SessionOptions())


def test_an_unknown_engine_is_named_with_suggestions() -> None:
    """A misspelt engine brings the nearest name."""
    with pytest.raises(registry.UnknownEngineError, match="onnxruntime"):
        registry.get("onnxrutime")
