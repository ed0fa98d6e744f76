"""Whether embeddings are the reference's."""

import numpy as np
import pytest

from rtfbench.embed.reference import parity_of, why_wrong, worst
from rtfbench.engines.protocol import Precision
from rtfbench.results.cells import LEAST_COSINE, MAX_REL_ERR

REFERENCE_CD = np.array([[1.0, -2.0, 0.5], [10.0, 0.0, 3.0]], np.float32)


def test_equal_embeddings_are_ok() -> None:
    """The reference itself has no error and a cosine score of 1."""
    found = parity_of(REFERENCE_CD, REFERENCE_CD)
    assert found.ok
    assert found.max_rel_err == 0
    assert found.cosine == pytest.approx(1)


@pytest.mark.parametrize(("factor", "ok"), [(0.9, True), (1.1, False)])
def test_the_limit(factor: float, ok: bool) -> None:
    """An error is relative to the largest value of its own chunk."""
    embeddings_CD = REFERENCE_CD.copy()
    embeddings_CD[0, 2] += 2 * MAX_REL_ERR * factor
    found = parity_of(embeddings_CD, REFERENCE_CD)
    assert found.ok is ok
    assert found.max_rel_err == pytest.approx(MAX_REL_ERR * factor, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong(value: float) -> None:
    """NaN and infinity are never ok, whatever they are compared with."""
    embeddings_CD = REFERENCE_CD.copy()
    embeddings_CD[1, 1] = value
    assert not parity_of(embeddings_CD, REFERENCE_CD).ok
    assert not parity_of(embeddings_CD, embeddings_CD).ok


def test_another_shape_is_wrong() -> None:
    """A missing chunk is no equality of those that are left."""
    assert not parity_of(REFERENCE_CD[:1], REFERENCE_CD).ok


def test_zeros_are_wrong() -> None:
    """A runtime that writes nothing is found out."""
    found = parity_of(np.zeros_like(REFERENCE_CD), REFERENCE_CD)
    assert not found.ok
    assert found.max_rel_err == pytest.approx(1)


def test_the_worst_of_several() -> None:
    """One bad comparison spoils all; of none there is none."""
    good = parity_of(REFERENCE_CD, REFERENCE_CD)
    bad = parity_of(-REFERENCE_CD, REFERENCE_CD)
    found = worst([good, bad, good])
    assert found is not None
    assert not found.ok
    assert found.cosine == pytest.approx(-1)
    assert worst([]) is None


@pytest.mark.parametrize("precision", LEAST_COSINE)
def test_fewer_bits_are_held_to_the_cosine(precision: Precision) -> None:
    """Each precision has its least cosine; an error that float32 may not have is no matter."""
    least = LEAST_COSINE[precision]
    for cosine, ok in ((least + 0.5 * (1 - least), True), (least - 0.01, False)):
        across = np.sqrt(1 / cosine**2 - 1)
        turned_CD = np.array([[1.0, across, 0.0]], np.float32)
        found = parity_of(turned_CD, np.array([[1.0, 0.0, 0.0]], np.float32), precision)
        assert found.cosine == pytest.approx(cosine, abs=1e-5)
        assert found.ok is ok
        assert f"{least:g} is asked of {precision}" in why_wrong(found, precision)
