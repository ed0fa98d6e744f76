"""Intervals from few sessions compared by name: do they hold, and how wide are they?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtfbench.report.markdown import grid
from rtfbench.results.estimate import FEW_SESSIONS, FEW_SESSIONS_SHARE, SESSIONS_FOR_RANKS
from rtfbench.results.moderated import MOST_PRIOR_FREEDOM, half_widths, moderated_scale
from tests.validation.rank_sums import signed_rank_p
from tests.validation.rates import rate
from tests.validation.scenario import BASELINE, CANDIDATE, Floats, Scenario, centres, draw_blocks

ALPHA = 0.05
#: What the prior counts at most, for each interval over the sessions' values.
WEIGHTS = {"moderated": MOST_PRIOR_FREEDOM, "student": 0.0}
RANKS = "signed ranks"


@dataclass(frozen=True)
class Coverage:
    """How many of a method's intervals held the truth.

    `half_width` is the median, relative; none for the ranks, whose test alone is simulated.
    """

    method: str
    scenario: Scenario
    sessions: int
    trials: int
    held: int
    half_width: float | None


def coverage(
    methods: Iterable[str], scenario: Scenario, *, sessions: int, trials: int, seed: int
) -> list[Coverage]:
    """Return a row for each method: `moderated`, `student`, and `signed ranks` from six sessions.

    The cells of a scenario are one stratum, and as many cells are counted as there are trials.
    """
    shape = (-(-trials // scenario.cells), scenario.cells, sessions)
    rng = np.random.default_rng(seed)
    cells = np.broadcast_to(np.arange(scenario.cells)[:, None], shape).ravel()
    times = draw_blocks(rng, scenario, cells, blocks=scenario.blocks)
    truth = np.log(scenario.ratios())[cells, None]
    blocks = (times[:, CANDIDATE] - times[:, BASELINE] - truth).reshape(*shape, -1)
    rows = []
    for method in methods:
        if method == RANKS:
            held, half_width = _ranks_hold(blocks), None
        else:
            mean, half = _student(blocks, scenario.prior, WEIGHTS[method])
            held, half_width = np.abs(mean) <= half, float(np.expm1(np.median(half)))
        rows.append(Coverage(method, scenario, sessions, held.size, int(held.sum()), half_width))
    return rows


def _student(blocks: Floats, prior: float, most_prior_freedom: float) -> tuple[Floats, Floats]:
    """Return the mean and half width of every cell."""
    values = centres(blocks)
    count = values.shape[-1]
    mean = values.mean(axis=-1)
    squares = ((values - mean[..., None]) ** 2).sum(axis=-1)
    scale, df = moderated_scale(
        squares,
        count,
        squares.sum(axis=1, keepdims=True) - squares,
        (values.shape[1] - 1) * (count - 1),
        prior=prior,
        most_prior_freedom=most_prior_freedom,
    )
    return mean, half_widths(ALPHA / 2, scale, np.broadcast_to(df, scale.shape), count)


def _ranks_hold(blocks: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Say where the clustered test does not reject the truth."""
    if blocks.shape[2] < SESSIONS_FOR_RANKS:
        raise ValueError(f"signed ranks need {SESSIONS_FOR_RANKS} sessions")
    share = FEW_SESSIONS_SHARE if blocks.shape[2] < FEW_SESSIONS else 1.0
    p = np.minimum(signed_rank_p(blocks, 0.0), signed_rank_p(-blocks, 0.0))
    return np.asarray(p > share * ALPHA / 2)


def coverage_table(rows: Sequence[Coverage]) -> str:
    """Return a row for each method and scenario."""
    lines = [["interval", "cells", "sessions", "luck", "tails", "held the truth", "half width"]]
    lines += [
        [
            row.method,
            str(row.scenario.cells),
            str(row.sessions),
            f"{row.scenario.luck:.1%}",
            "normal" if row.scenario.luck_df is None else f"t, {row.scenario.luck_df:g} df",
            rate(row.held, row.trials),
            "" if row.half_width is None else f"{row.half_width:.1%}",
        ]
        for row in rows
    ]
    return grid(lines, [False, True, True, True, False, True, True])
