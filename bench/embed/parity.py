"""Whether an engine computed the reference's embedding (pure)."""

from collections.abc import Iterable

import numpy as np

from bench.results.cells import MAX_REL_ERR, Parity
from engines.protocol import FloatArray


def parity_of(embeddings_CD: FloatArray, reference_CD: FloatArray) -> Parity:
    """Compare the embeddings of an utterance's chunks with the reference's.

    Args:
        embeddings_CD: float32 [C, D], one row a chunk.
        reference_CD: float32 [C, D].

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
    return Parity(cosine=float(cosine_C.min()), max_rel_err=worst, ok=worst <= MAX_REL_ERR)


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
