"""Whether an engine computed the reference's embedding (pure)."""

from collections.abc import Iterable

import numpy as np

from bench.results.cells import LEAST_COSINE, MAX_REL_ERR, Parity
from engines.protocol import FLOAT32, FloatArray, Precision


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
