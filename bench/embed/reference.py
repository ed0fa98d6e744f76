"""Reference embeddings in the cache: per utterance, one row a chunk."""

from pathlib import Path

import numpy as np

from bench.base.cache import cache_folder, fingerprint, replacing, seal, sha256_of
from bench.base.values import Value
from bench.embed.audio_input import Source
from engines.protocol import FloatArray


class ReferenceRequest(Value):
    """The embeddings that the cells of one model and chunk size are compared with."""

    model: str
    chunk_samples: int
    sources: tuple[Source, ...]


def path_of(request: ReferenceRequest, key: str) -> Path:
    """Return where the reference is kept.

    Args:
        request: what the reference is of; the recordings' content is part of the name.
        key: a name that changes with everything else that the embeddings depend on.
    """
    audio = [
        f"{source.name} {sha256_of(source.path)} {source.channel} {source.resample}"
        for source in request.sources
    ]
    name = fingerprint((), (), request.model, str(request.chunk_samples), key, *audio)
    return cache_folder() / "references" / f"{request.model}-{name}.npz"


def save_reference(path: Path, chunk_embeddings_CD: dict[str, FloatArray]) -> None:
    """Write the chunks' embeddings of every utterance."""
    with replacing(path) as part:
        np.savez(
            part,
            names=np.array(list(chunk_embeddings_CD)),
            num_chunks=np.array([len(rows) for rows in chunk_embeddings_CD.values()]),
            embeddings=np.concatenate(list(chunk_embeddings_CD.values())),
        )
    seal(path)


def load_reference(path: Path) -> dict[str, FloatArray]:
    """Return utterance -> float32 [C, D], as `save_reference` wrote it."""
    with np.load(path, allow_pickle=False) as stored:
        ends = np.cumsum(stored["num_chunks"])
        rows = np.split(stored["embeddings"], ends[:-1])
        return {str(name): row for name, row in zip(stored["names"], rows, strict=True)}
