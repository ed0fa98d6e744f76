"""Reference embeddings in the cache, and whether an engine computed them.

They are kept by utterance, one row a chunk.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rtfbench.base.cache import cache_room, fingerprint, replacing, seal, sha256_of
from rtfbench.base.values import Value
from rtfbench.embed.audio_input import Source
from rtfbench.engines.protocol import FLOAT32, FloatArray, Precision
from rtfbench.results.cells import LEAST_COSINE, MAX_REL_ERR, Parity


class ReferenceRequest(Value):
    """The embeddings that the cells of one model and chunk size are compared with.

    `front_end` is that of an engine which brings its own, as text; empty is the model's.
    """

    model: str
    chunk_samples: int
    sources: tuple[Source, ...]
    front_end: str = ""


def path_of(request: ReferenceRequest, key: str) -> Path:
    """Return where the reference is kept; the recordings' content is part of the name.

    The key is a name that changes with everything else that the embeddings depend on.
    """
    audio = [
        f"{source.name} {sha256_of(source.path)} {source.channel} {source.resample}"
        + (f" {source.begin_s} {source.end_s}" if source.end_s is not None else "")
        for source in request.sources
    ]
    asked = (request.model, str(request.chunk_samples), request.front_end)
    name = fingerprint((), (), *asked, key, *audio)
    return cache_room("references") / f"{request.model}-{name}.npz"


def save_reference(
    path: Path,
    chunk_embeddings_CD: Mapping[str, FloatArray],
    model_D: Mapping[str, FloatArray] | None = None,
) -> None:
    """Write the chunks' embeddings of every utterance, float32 [C, D] each.

    Those in `model_D` are behind the model's own front end, where the others are behind another.
    """
    with replacing(path) as part:
        np.savez(
            part,
            names=np.array(list(chunk_embeddings_CD)),
            num_chunks=np.array([len(rows) for rows in chunk_embeddings_CD.values()]),
            embeddings=np.concatenate(list(chunk_embeddings_CD.values())),
            model=np.array(list((model_D or {}).values()), np.float32),
        )
    seal(path)


def load_reference(path: Path) -> dict[str, FloatArray]:
    """Return utterance -> float32 [C, D], as `save_reference` wrote it."""
    with np.load(path, allow_pickle=False) as stored:
        ends = np.cumsum(stored["num_chunks"])
        rows = np.split(stored["embeddings"], ends[:-1])
        return {str(name): row for name, row in zip(stored["names"], rows, strict=True)}


def load_model_embeddings(path: Path) -> dict[str, FloatArray]:
    """Return utterance -> float32 [D] behind the model's own front end, where it is another."""
    with np.load(path, allow_pickle=False) as stored:
        model = stored.get("model", ())  # another revision may have written it
        return dict(zip(map(str, stored["names"]), model, strict=False))


def parity_of(
    embeddings_CD: FloatArray, reference_CD: FloatArray, precision: Precision = FLOAT32
) -> Parity:
    """Compare the embeddings of an utterance's chunks with the reference's.

    Args:
        embeddings_CD: float32 [C, D], one row a chunk.
        reference_CD: float32 [C, D].
        precision: what the engine computed in; float32 is held to the error of each value, the
            others to the cosine.

    Returns:
        The worst chunk's cosine score and relative error. An output of another shape, or one that
        is not finite, is not ok.
    """
    if embeddings_CD.shape != reference_CD.shape or not np.isfinite(embeddings_CD).all():
        return Parity(cosine=0.0, max_rel_err=float(np.finfo(np.float32).max), ok=False)
    got_CD, want_CD = embeddings_CD.astype(np.float64), reference_CD.astype(np.float64)
    scale_C = np.abs(want_CD).max(axis=1)
    error_C = np.abs(got_CD - want_CD).max(axis=1) / np.maximum(scale_C, np.finfo(float).tiny)
    norms_C = np.linalg.norm(got_CD, axis=1) * np.linalg.norm(want_CD, axis=1)
    cosine_C = (got_CD * want_CD).sum(axis=1) / np.maximum(norms_C, np.finfo(float).tiny)
    worst = float(error_C.max())
    cosine = float(cosine_C.min())
    ok = worst <= MAX_REL_ERR if precision == FLOAT32 else cosine >= LEAST_COSINE[precision]
    return Parity(cosine=cosine, max_rel_err=worst, ok=ok)


def why_wrong(found: Parity, precision: Precision) -> str:
    """Say how far an embedding lies from the reference, and what would have been allowed."""
    if precision == FLOAT32:
        return (
            f"largest error {found.max_rel_err:.1e} of the largest reference value, "
            f"limit {MAX_REL_ERR:.0e}; cosine {found.cosine:.6f}"
        )
    return (
        f"cosine {found.cosine:.4f} to the reference in float32, at least "
        f"{LEAST_COSINE[precision]:g} is asked of {precision}"
    )


def worst(parities: Iterable[Parity]) -> Parity | None:
    """Return the worst of several comparisons, None of none."""
    found = list(parities)
    if not found:
        return None
    return Parity(
        cosine=min(p.cosine for p in found),
        max_rel_err=max(p.max_rel_err for p in found),
        ok=all(p.ok for p in found),
    )
