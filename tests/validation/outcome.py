"""What many simulated gates said."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GOING_ON, REGRESSION, PASS = range(3)


@dataclass(frozen=True)
class Outcome:
    """A value for each cell of each gate: [gate, cell].

    `answers` still says GOING_ON where the budget ended first. `seconds` are wall time from the
    gate's start to the end of the last session that the cell had.
    """

    answers: npt.NDArray[np.int_]
    seconds: npt.NDArray[np.float64]
