"""The chunking driver: an utterance in blocks is the utterance."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import FloatArray, ModelArtifact, SessionOptions
from rtfbench.frontends.audio import Waveform, read_audio
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from tests.ready import artifact_for


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    """Make the smallest model."""
    logs = tmp_path_factory.mktemp("logs")
    return artifact_for("xvec", "onnxruntime", form="dynamic", chunk_samples=32000, logs=logs)


@pytest.fixture(scope="module")
def session(artifact: ModelArtifact) -> SessionBase:
    """Open it."""
    return registry.get("onnxruntime").open(artifact, SessionOptions())


@pytest.fixture(scope="module")
def minute() -> Waveform:
    """Return a minute of speech."""
    samples = [read_audio(path).samples for path in sorted(DEFAULT_SPEECH.glob("*.flac"))]
    return Waveform(np.resize(np.concatenate(samples), 60 * 16000), 16000)


@pytest.mark.parametrize("chunk_samples", [32000, 80000, -1])
@pytest.mark.parametrize("seconds", [1, 10, 60])
def test_blocks_give_the_embedding_of_the_whole(
    session: SessionBase, minute: Waveform, chunk_samples: int, seconds: int
) -> None:
    """Whatever the blocks, the embedding is that of the utterance in memory, to the last bit."""
    pipeline = Pipeline(chunk_samples)
    samples = minute.samples[: seconds * 16000]
    whole = pipeline.embed(session, Waveform(samples, 16000))
    for block in (16000, 160_000):
        blocks = (samples[i : i + block] for i in range(0, len(samples), block))
        found = pipeline.embed_blocks(session, blocks)
        np.testing.assert_array_equal(found.chunk_embeddings_CD, whole.chunk_embeddings_CD)
        np.testing.assert_array_equal(found.embedding_D, whole.embedding_D)


def test_waiting_for_blocks_is_no_processing(session: SessionBase, minute: Waveform) -> None:
    """Time that passes while a block is read is in no figure; all other time is in one."""
    now_ns = 0

    def clock() -> int:
        nonlocal now_ns
        now_ns += 1
        return now_ns

    def blocks() -> Iterator[FloatArray]:
        nonlocal now_ns
        for start in range(0, len(minute.samples), 160_000):
            now_ns += 1_000_000
            yield minute.samples[start : start + 160_000]
        now_ns += 1_000_000

    found = Pipeline(32000, clock=clock).embed_blocks(session, blocks())
    assert found.processing_ns < 1000
    assert found.frontend_ns + sum(found.chunk_ns) == found.processing_ns
    assert len(found.chunk_ns) == len(found.chunk_embeddings_CD)


def test_too_short_in_blocks_is_refused(session: SessionBase) -> None:
    """No frame, no embedding."""
    with pytest.raises(ValueError, match="too short for one frame"):
        Pipeline(32000).embed_blocks(session, [np.zeros(399, np.float32)])


class Answering(SessionBase):
    """A session whose embedding is a function of the features."""

    def __init__(self, answer: Callable[[FloatArray], float]) -> None:
        self._answer = answer

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """Tell nothing."""
        return {}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Return an embedding of one value."""
        return np.array([[self._answer(features_BTM)]], np.float32)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("answer", "listens"),
    [
        (lambda features: features[0, 0, 0], True),
        (lambda features: np.sort(features, axis=None)[-1], True),
        (lambda features: 1.0, False),
        (lambda features: float(features.any()), False),
        # A weight of 2^100 makes one of everything that is as loud as speech.
        (lambda features: min(features.std(), 3.0), False),
        (lambda features: np.nan, False),
    ],
    ids=[
        "listens",
        "knows no order",
        "is deaf",
        "hears silence only",
        "is saturated",
        "is no number",
    ],
)
@pytest.mark.parametrize("is_known", [False, True], ids=["alone", "after speech"])
def test_a_model_has_to_listen(
    answer: Callable[[FloatArray], float], listens: bool, is_known: bool
) -> None:
    """Silence and two noises as loud as speech have three embeddings, or speech and a noise two."""
    pipeline, session = Pipeline(32000), Answering(answer)
    speech = read_audio(min(DEFAULT_SPEECH.glob("*.flac")))
    known_CD = pipeline.embed(session, speech).chunk_embeddings_CD
    assert pipeline.listens(session, known_CD if is_known else None) is listens


@pytest.mark.parametrize(("chunk_samples", "frames"), [(WHOLE_UTTERANCE, 50), (32000, 198)])
def test_a_recording_is_held_against_a_noise_of_its_length(chunk_samples: int, frames: int) -> None:
    """A model of whole recordings hears nothing longer; one of chunks hears a chunk."""
    session = Answering(lambda features: len(features[0]))
    pipeline = Pipeline(chunk_samples)
    assert not pipeline.listens(session, np.full((1, 1), frames, np.float32), 50)
    assert pipeline.listens(session, np.full((1, 1), frames + 1, np.float32), 50)
