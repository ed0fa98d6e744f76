"""Batches: chunks that run together are what they are alone."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from rtfbench.embed import batches
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Embedded, Pipeline
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import EngineError, FloatArray, ModelArtifact, SessionOptions
from rtfbench.frontends.audio import AudioError, read_audio
from tests.ready import artifacts_for

ENGINES = ("onnxruntime", "mnn", "openvino", "torch")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, ModelArtifact]:
    """Make the smallest model for every engine that takes batches."""
    return artifacts_for("xvec", ENGINES, form="dynamic", logs=tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def session(artifacts: Mapping[str, ModelArtifact]) -> SessionBase:
    """Open it in onnxruntime."""
    return registry.get("onnxruntime").open(artifacts["onnxruntime"], SessionOptions())


@pytest.fixture(scope="module")
def utterances() -> list[FloatArray]:
    """Return speech of very different lengths, two of them equally long."""
    speech = np.concatenate([read_audio(p).samples for p in sorted(DEFAULT_SPEECH.glob("*.flac"))])
    return [speech[i * 16000 :][:length] for i, length in enumerate([8000, 90000, 30000, 90000])]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk_samples", [32000, -1])
def test_every_element_is_what_it_is_alone(
    artifacts: Mapping[str, ModelArtifact],
    utterances: list[FloatArray],
    engine: str,
    chunk_samples: int,
) -> None:
    """On every engine, whatever shares its batch, a chunk has the embedding it has alone."""
    session = registry.get(engine).open(artifacts[engine], SessionOptions())
    pipeline = Pipeline(chunk_samples)
    alone = [pipeline.embed_blocks(session, [samples]) for samples in utterances]
    for size in (2, 3, 64):
        together = pipeline.embed_together(session, [[each] for each in utterances], batch=size)
        for got, want in zip(together, alone, strict=True):
            assert isinstance(got, Embedded)
            np.testing.assert_allclose(
                got.chunk_embeddings_CD,
                want.chunk_embeddings_CD,
                atol=1e-4 * np.abs(want.chunk_embeddings_CD).max(),
            )
            assert len(got.chunk_ns) == len(want.chunk_ns)
    session.close()


class Counting(SessionBase):
    """Answers the sum of its input, and remembers the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Nothing to tell."""
        return {"threads": 1}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Return [B, 1]."""
        self.shapes.append(features_BTM.shape)
        return np.asarray(features_BTM.max(axis=(1, 2))[:, np.newaxis], np.float32)

    def close(self) -> None:
        """Nothing to release."""


class FirstOnly(Counting):
    """Computes the first element and copies it, as a graph with a fixed batch may."""

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Return the first one's embedding B times."""
        return np.repeat(super().run(features_BTM[:1]), len(features_BTM), axis=0)


def test_batches_are_full_and_never_padded(utterances: list[FloatArray]) -> None:
    """Chunks of one length share runs across utterances; other lengths have runs of their own."""
    session = Counting()
    Pipeline(16000).embed_together(session, [[each] for each in utterances], batch=4)
    chunks = sum(Pipeline(16000).policy.num_chunks(len(each)) for each in utterances)
    assert [shape[0] for shape in session.shapes] == [4] * (chunks // 4) + [chunks % 4]
    session = Counting()
    Pipeline(-1).embed_together(session, [[each] for each in utterances], batch=4)
    assert sorted(shape[:2] for shape in session.shapes) == [(1, 48), (1, 186), (2, 561)]


def test_what_cannot_be_read_costs_only_itself(
    session: SessionBase, utterances: list[FloatArray]
) -> None:
    """A recording that breaks off, or is too short, leaves the others of its batch as they are."""

    def broken() -> Iterator[FloatArray]:
        yield utterances[1][:40000]
        raise AudioError("cut off")

    pipeline = Pipeline(16000)
    many = [[utterances[0]], broken(), [utterances[0][:399]], [utterances[2]]]
    good, cut, short, last = pipeline.embed_together(session, many, batch=8)
    assert isinstance(cut, AudioError)
    assert isinstance(short, ValueError)
    for found, samples in ((good, utterances[0]), (last, utterances[2])):
        assert isinstance(found, Embedded)
        want_D = pipeline.embed_blocks(session, [samples]).embedding_D
        np.testing.assert_allclose(found.embedding_D, want_D, atol=1e-4 * np.abs(want_D).max())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_features_that_are_not_finite_cost_only_themselves(utterances: list[FloatArray]) -> None:
    """They never reach the engine, and the others of the batch are embedded."""
    large = np.full(16000, 3e38, np.float32)
    many = [[utterances[1]], [large], [utterances[3]]]
    good, bad, last = Pipeline(16000).embed_together(Counting(), many, batch=8)
    assert isinstance(good, Embedded)
    assert isinstance(bad, EngineError)
    assert "not finite" in str(bad)
    assert isinstance(last, Embedded)


def test_a_session_that_mixes_elements_is_refused(session: SessionBase) -> None:
    """What computes the first of a batch alone is found out before any embedding is made."""
    assert batches.refusal(session, num_frames=98, feat_dim=80) == ""
    assert "other embeddings" in batches.refusal(FirstOnly(), num_frames=98, feat_dim=80)


def test_too_few_embeddings_are_an_error(utterances: list[FloatArray]) -> None:
    """A run that answers fewer rows than it was given chunks never passes for a result."""

    class Fewer(Counting):
        def run(self, features_BTM: FloatArray) -> FloatArray:
            return super().run(features_BTM)[:1]

    with pytest.raises(EngineError, match="a batch of 4 chunks gave 1"):
        Pipeline(16000).embed_together(Fewer(), [[each] for each in utterances], batch=4)
