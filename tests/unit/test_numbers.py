"""Numbers that cost time."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.base.numbers import count_denormals
from rtfbench.measure.cell_worker import told_denormals


@pytest.mark.parametrize(("kind", "small"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_denormals_are_counted(kind: type[np.floating[Any]], small: float) -> None:
    """Zero is none, nor is the smallest number of full precision."""
    values: npt.NDArray[np.floating[Any]] = np.array(
        [[0.0, small, -small], [np.finfo(kind).smallest_normal, 1.0, -2.0]], kind
    )
    assert count_denormals(values) == 2


def test_denormals_of_a_cell_are_told() -> None:
    """Of what goes in and what comes out, each with its count; of none, nothing."""
    features_BTM, embeddings_CD = np.ones((1, 2, 3), np.float32), np.ones((1, 4), np.float32)
    assert told_denormals(features_BTM, embeddings_CD) == ""
    embeddings_CD[0, 0] = 1e-39
    told = told_denormals(features_BTM, embeddings_CD)
    assert told == "denormal, which slows cores: 1 of 4 values of the embeddings"
