"""What engines tell besides the protocol's members, and the defaults of those that do not."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from engines import registry
from engines.base import EngineBase, SessionBase, completed, counted_ns, reported
from engines.protocol import (
    Availability,
    ConversionError,
    Engine,
    EngineError,
    FloatArray,
    Form,
    Library,
    ModelArtifact,
    Session,
    SessionOptions,
    Support,
)


class PlainSession:
    """The protocol's members and nothing else."""

    effective: Mapping[str, str | int | float] = {"threads": 1}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Answer the input."""
        return features_BTM

    def close(self) -> None:
        """Nothing to release."""


class PlainEngine:
    """The protocol's members and nothing else."""

    name = "plain"
    format = "onnx"
    default_form: Form = "static"
    choices: Mapping[str, tuple[str, ...]] = {"speed": ("slow", "fast")}

    def probe(self) -> Availability:
        """Always there."""
        return Availability(True, version="7")

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Refuse everything."""
        return Support(False, "plain refuses")

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> Session:
        """Return a session."""
        return PlainSession()


class TellingEngine(PlainEngine):
    """It tells one fact of its own, without the base class."""

    distribution = "plain-runtime"


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


def test_the_protocols_members_are_enough() -> None:
    """An engine without the base class is one, answers for itself, and gets the defaults."""
    plain = PlainEngine()
    assert isinstance(plain, Engine)
    found = completed(plain)
    assert (found.name, found.default_form, found.choices) == ("plain", "static", plain.choices)
    assert found.probe().version == "7"
    assert found.supports(ARTIFACT, SessionOptions()).reason == "plain refuses"
    assert isinstance(found.open(ARTIFACT, SessionOptions()), Session)
    assert (found.distribution, found.library, found.first_run) == (None, None, "")
    assert found.on({}) is found
    with pytest.raises(ConversionError, match="plain does not say"):
        found.convert(Path("a.onnx"), Path("a.plain"), static=False)


def test_one_fact_needs_no_base_class() -> None:
    """What such an engine does tell is taken."""
    assert completed(TellingEngine()).distribution == "plain-runtime"


def test_an_engine_without_open_is_not_made() -> None:
    """The base class says which member is missing."""
    with pytest.raises(TypeError, match="open"):
        type("Half", (EngineBase,), {"name": "half", "probe": PlainEngine.probe})()


def test_sessions_that_count_nothing() -> None:
    """Nothing is stored of a session that does not count, and its copies are unknown."""
    session = PlainSession()
    assert isinstance(session, Session)
    assert counted_ns(session) is None
    assert reported(session) == {"threads": 1}


def test_sessions_that_count() -> None:
    """What a runtime counts is stored beside its settings."""
    session = CountingSession()
    np.testing.assert_array_equal(session.run(np.ones((1, 2, 3), np.float32)), np.ones((1, 2, 3)))
    assert counted_ns(session) == 5
    assert reported(session) == {"threads": 2, "mega_macs": 12.346}


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
    assert "mnn_convert.py" in {path.name for path in registry.sources("mnn")}
    with pytest.raises(EngineError, match="no installed engine"):
        registry.maker_of("nothing")
