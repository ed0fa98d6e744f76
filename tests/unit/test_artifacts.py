"""Model files in the cache are found again as they were made, or not at all."""

from pathlib import Path

import pytest

from rtfbench.base.cache import sha256_of
from rtfbench.engines.protocol import ModelArtifact
from rtfbench.models.artifacts import ArtifactRequest, find, remember

REQUEST = ArtifactRequest(model="a", format="onnx", form="dynamic", chunk_frames=198)


@pytest.fixture
def made(tmp_path: Path) -> ModelArtifact:
    """Return a file that was made and written down."""
    path = tmp_path / REQUEST.file_name
    path.write_bytes(b"weights")
    artifact = ModelArtifact(
        name="a",
        path=path,
        format="onnx",
        form="dynamic",
        num_frames=None,
        feat_dim=80,
        embedding_dim=16,
        sha256=sha256_of(path),
        flops=1234,
    )
    remember(REQUEST, artifact, tmp_path)
    return artifact


def test_what_was_made_is_found(made: ModelArtifact) -> None:
    """Every fact comes back, and the path, wherever the cache is."""
    assert find(REQUEST, made.path.parent) == made


def test_a_card_with_another_digit_is_none(made: ModelArtifact) -> None:
    """It would still be JSON, and another number in the table."""
    (card,) = made.path.parent.glob("*.json")
    card.write_text(card.read_text().replace("1234", "1235"))
    assert find(REQUEST, made.path.parent) is None
    assert made.path.exists()


def test_another_file_is_deleted(made: ModelArtifact) -> None:
    """So that it is made again, and not found by the one who makes it."""
    made.path.write_bytes(b"weighty")
    assert find(REQUEST, made.path.parent) is None
    assert not made.path.exists()
