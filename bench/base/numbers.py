"""What is looked for in many numbers: denormal values, and hashes that come twice."""

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt


def count_denormals(values: npt.NDArray[np.floating[Any]]) -> int:
    """Count the values that are nearer to 0 than full precision goes; they slow many cores down."""
    smallest = np.finfo(values.dtype).smallest_normal
    return int(np.count_nonzero((values != 0) & (np.abs(values) < smallest)))


def repeated(hashes: "array[int]") -> set[int]:
    """Return the hashes that are there more than once; two texts may share one by chance."""
    ordered = np.sort(np.frombuffer(hashes, np.int64))
    return set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
