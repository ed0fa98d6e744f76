"""What engines and sessions have to have, and the defaults of what they may leave."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from rtfbench.engines import registry
from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.protocol import (
    Availability,
    ConversionError,
    EngineError,
    FloatArray,
    Library,
    ModelArtifact,
    SessionOptions,
)


class PlainSession(SessionBase):
    """What a session has to have, and nothing else."""

    effective: Mapping[str, str | int | float] = {"threads": 1}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Answer the input."""
        return features_BTM

    def close(self) -> None:
        """Nothing to release."""


class PlainEngine(EngineBase):
    """What an engine has to have, and nothing else."""

    name = "plain"

    def probe(self) -> Availability:
        """Always there."""
        return Availability(True, version="7")

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Return a session."""
        return PlainSession()


class CountingSession(SessionBase):
    """A runtime that counts."""

    copy_ns: int = 5

    @property
    def mega_macs(self) -> float | None:
        """A count."""
        return 12.34567

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """A setting."""
        return {"threads": 2}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Answer the input."""
        return features_BTM

    def close(self) -> None:
        """Nothing to release."""


ARTIFACT = ModelArtifact(
    name="m", path=Path("m.onnx"), format="onnx", form="dynamic", num_frames=None,
    feat_dim=80, embedding_dim=2, sha256="",
)  # fmt: skip


def test_name_probe_and_open_are_enough() -> None:
    """All else of an engine has defaults: it reads ONNX, has no settings, and tells nothing."""
    plain = PlainEngine()
    assert plain.supports(ARTIFACT, SessionOptions()).ok
    refused = plain.supports(ARTIFACT, SessionOptions(settings={"speed": "fast"}))
    assert refused.reason == "plain has no setting 'speed'; it has: none"
    assert (plain.distribution, plain.library, plain.first_run) == (None, None, "")
    assert plain.on({}) is plain
    with pytest.raises(ConversionError, match="plain does not say"):
        plain.convert(Path("a.onnx"), Path("a.plain"), static=False)


def test_another_class_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point that names something else is refused with the cure."""
    entry = EntryPoint("other", "tests.unit.test_engine_base:CountingSession", registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: {"other": entry})
    # A plug-in is tried in a process of its own, which knows no entry point of this test's.
    monkeypatch.setattr(registry, "_refusal", lambda _: "")
    with pytest.raises(EngineError, match=r"is no engine: derive it from EngineBase"):
        registry.get.__wrapped__("other")


def test_an_engine_without_open_is_not_made() -> None:
    """The base class says which member is missing."""
    with pytest.raises(TypeError, match="open"):
        type("Half", (EngineBase,), {"name": "half", "probe": PlainEngine.probe})()


def test_sessions_that_count_nothing() -> None:
    """Nothing is stored of a session that does not count, and its copies are unknown."""
    session = PlainSession()
    assert session.copy_ns is None
    assert session.reported == {"threads": 1}


def test_sessions_that_count() -> None:
    """What a runtime counts is stored beside its settings."""
    session = CountingSession()
    np.testing.assert_array_equal(session.run(np.ones((1, 2, 3), np.float32)), np.ones((1, 2, 3)))
    assert session.copy_ns == 5
    assert session.reported == {"threads": 2, "mega_macs": 12.346}


def test_what_the_engines_of_this_project_tell() -> None:
    """Distributions, and how a library of one's own is named."""
    mnn, mini = registry.get("mnn"), registry.get("mnn-mini")
    assert mnn.distribution == mini.distribution == "MNN"
    assert mnn.library == Library("RTFBENCH_MNN_HOME", "--mnn-home", own="wheel")
    assert mini.library == Library("RTFBENCH_MNN_MINI_HOME", "--mnn-mini-home", own="wheel")
    assert registry.get("onnxruntime").distribution == "onnxruntime"
    assert registry.get("null").distribution is None


def test_formats_have_makers() -> None:
    """The engine of a format's name makes its files; a format that none reads is refused."""
    assert registry.maker_of("mnn") == "mnn"
    assert "mnn_files.py" in {path.name for path in registry.sources("mnn")}
    with pytest.raises(EngineError, match="no installed engine"):
        registry.maker_of("nothing")
