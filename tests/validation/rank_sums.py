"""The gate's first rule, kept to compare others with: rank sums, and a confirmation.

Six sessions are measured in half of the budget. What the clustered signed-rank test then finds
slower than the margin (p at most 1 %, adjusted over the cells) gets as many fresh sessions again in
half of what is left, which have to find it too (5 %). What is neither slower nor within the limit
goes on alike. The ghost has a veto. Loading does not count as measuring.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from tests.validation.outcome import GOING_ON, PASS, REGRESSION, Outcome
from tests.validation.scenario import (
    BASELINE,
    CANDIDATE,
    GHOST,
    Floats,
    Scenario,
    centres,
    draw_blocks,
)

Bools = npt.NDArray[np.bool_]

SESSIONS = 6
ALPHA, ALPHA_CONFIRMED, ALPHA_GHOST, ALPHA_PASS = 0.01, 0.05, 0.01, 0.05
#: Intervals of few clusters pay for what Student's distribution does not know of rank sums.
FEW_SESSIONS, FEW_SESSIONS_SHARE = 12, 0.8
#: A slot had at least this many chunks; a session this many blocks, where there was time.
CHUNKS, BLOCKS = 10, 4


def rank_sums(scenario: Scenario, trials: int, rng: np.random.Generator) -> Outcome:
    """Return what so many gates said."""
    shape = (trials, scenario.cells)
    answers, seconds = np.full(shape, GOING_ON), np.zeros(shape)
    measured_s, wall_s = np.zeros(trials), np.zeros(trials)
    budget_s = scenario.budget_s * scenario.cells
    found_after = np.full(shape, np.inf)
    slower, ghosts = (np.empty((*shape, 0, 0)) for _ in range(2))
    wanted = np.ones(shape, bool)
    while wanted.any():
        first = slower.shape[2] == 0
        blocks, sessions, took_s = _portions(scenario, wanted, budget_s - measured_s, first=first)
        measured_s += took_s
        wall_s += took_s + scenario.loading_s * (sessions * (blocks > 0)).sum(axis=1)
        went_on = blocks > 0
        if not went_on.any():
            break
        seconds[went_on] = np.broadcast_to(wall_s[:, None], shape)[went_on]
        more = _sessions(scenario, rng, blocks, sessions)
        slower, ghosts = _joined(slower, more[0]), _joined(ghosts, more[1])
        answers, suspects = _judge(scenario, slower, ghosts, found_after)
        found_after[suspects & np.isinf(found_after)] = slower.shape[2]
        wanted = np.equal(answers, GOING_ON) & went_on.any(axis=1, keepdims=True)
    return Outcome(answers, seconds)


def _portions(
    scenario: Scenario, wanted: Bools, left_s: Floats, *, first: bool
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_], Floats]:
    """Return blocks a session and sessions of each cell, and the seconds of each gate.

    Half of what is left is split evenly among the wanted cells, as they come.
    """
    blocks, sessions = np.zeros(wanted.shape, int), np.full(wanted.shape, SESSIONS)
    took_s = np.zeros(len(wanted))
    for cell, block_s in enumerate(scenario.block_s(CHUNKS)):
        coming = np.maximum(wanted[:, cell:].sum(axis=1), 1)
        fit = np.floor((left_s / 2 - took_s) / coming / block_s).astype(int)
        if first:
            fit = np.maximum(fit, 1)
            sessions[:, cell] = np.minimum(SESSIONS, fit)
            each = fit // sessions[:, cell]
            blocks[:, cell] = np.minimum(each, np.maximum(BLOCKS, fit // (SESSIONS * 4)))
        else:
            blocks[:, cell] = fit // SESSIONS * wanted[:, cell]
        took_s += blocks[:, cell] * sessions[:, cell] * block_s
    return blocks, sessions, took_s


def _sessions(
    scenario: Scenario,
    rng: np.random.Generator,
    blocks: npt.NDArray[np.int_],
    sessions: npt.NDArray[np.int_],
) -> tuple[Floats, Floats]:
    """Return log ratios of candidate and ghost: [gate, cell, session, block], NaN where none is."""
    shape = (*blocks.shape, SESSIONS, int(blocks.max()))
    slower, ghosts = np.full(shape, np.nan), np.full(shape, np.nan)
    for count in np.unique(blocks[blocks > 0]):
        has = (blocks == count)[..., None] & (np.arange(SESSIONS) < sessions[..., None])
        gate, cell, session = np.nonzero(has)
        times = draw_blocks(rng, scenario, cell, blocks=int(count))
        slower[gate, cell, session, :count] = times[:, CANDIDATE] - times[:, BASELINE]
        ghosts[gate, cell, session, :count] = times[:, GHOST] - times[:, BASELINE]
    return slower, ghosts


def _joined(before: Floats, more: Floats) -> Floats:
    """Return all sessions; blocks that a session has not are NaN."""
    most = max(before.shape[3], more.shape[3])
    parts = [
        np.pad(
            part,
            [(0, 0), (0, 0), (0, 0), (0, most - part.shape[3])],
            constant_values=np.nan,
        )
        for part in (before, more)
    ]
    return np.concatenate(parts, axis=2)


def _judge(
    scenario: Scenario, slower: Floats, ghosts: Floats, found_after: Floats
) -> tuple[npt.NDArray[np.int_], Bools]:
    """Return the answers, and where a cell looks slower."""
    margin, limit = np.log1p([scenario.margin, scenario.limit])
    number = np.arange(slower.shape[2])[:, None]
    old = number < found_after[..., None, None]
    p = holm(signed_rank_p(np.where(old, slower, np.nan), margin))
    suspects = p <= ALPHA
    fresh = np.where(old, np.nan, slower)
    confirmed = signed_rank_p(fresh, margin) <= ALPHA_CONFIRMED
    has_fresh = np.isfinite(fresh).any(axis=(2, 3))
    share = _share(ghosts) * ALPHA_GHOST / 2
    clean = (signed_rank_p(ghosts, 0.0) > share) & (signed_rank_p(-ghosts, 0.0) > share)
    answers = np.full(p.shape, GOING_ON)
    answers[_within(slower, float(limit)) & (~suspects | (clean & has_fresh))] = PASS
    answers[suspects & clean & has_fresh & confirmed] = REGRESSION
    return answers, suspects


def _within(slower: Floats, limit: float) -> Bools:
    """Return where the upper end of the interval is within the limit."""
    ranks = signed_rank_p(-slower, -limit) <= _share(slower) * ALPHA_PASS / 2
    count = _count(slower)
    few = (count > 1) & (count < SESSIONS)
    if few.any():
        # The interval of few sessions is Student's, over the sessions' own estimates.
        each = _centres(slower[few])
        spread = np.nanstd(each, axis=-1, ddof=1) / np.sqrt(count[few])
        factor = special.stdtrit(count[few] - 1, 1 - ALPHA_PASS / 2)
        high = np.nanmean(each, axis=-1) + spread * factor
        ranks[few] = high <= limit
    return np.asarray(ranks & (count > 1), bool)


def _centres(values: Floats) -> Floats:
    """Return the sessions' own estimates, NaN for those that have no block."""
    found = np.full(values.shape[:-1], np.nan)
    blocks = np.isfinite(values).sum(axis=-1)  # they come first
    for count in np.unique(blocks[blocks > 0]):
        found[blocks == count] = centres(values[blocks == count][..., :count])
    return found


def _count(values: Floats) -> npt.NDArray[np.int_]:
    """Return how many sessions each cell has."""
    return np.asarray(np.isfinite(values).any(axis=3).sum(axis=2), int)


def _share(values: Floats) -> Floats:
    return np.where(_count(values) < FEW_SESSIONS, FEW_SESSIONS_SHARE, 1.0)


def signed_rank_p(values: Floats, centre: float) -> Floats:
    """Return the one-sided p-values of the clustered test: small where values are above a centre.

    Args:
        values: [gate, cell, session, block], NaN where there is none.
        centre: the same for all.

    Student's test of the sessions' sums of signed ranks, as in `rtfbench.results.stats`.
    """
    shape = values.shape
    distances = (values - centre).reshape(*shape[:2], -1)
    order = np.argsort(np.abs(distances), axis=-1)  # NaN comes last
    ranks = np.empty_like(distances)
    np.put_along_axis(
        ranks, order, np.broadcast_to(np.arange(1.0, ranks.shape[-1] + 1), ranks.shape), axis=-1
    )
    scores = np.nan_to_num(np.sign(distances) * ranks).reshape(shape).sum(axis=3)
    has = np.isfinite(values).any(axis=3)
    count = has.sum(axis=2)
    enough = count > 1
    mean = scores.sum(axis=2) / np.maximum(count, 1)
    squares = (np.where(has, scores - mean[..., None], 0.0) ** 2).sum(axis=2)
    spread = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(spread > 0, mean / spread, np.copysign(np.inf, mean))
    p = special.stdtr(np.maximum(count - 1, 1), -t)
    return np.where(enough, p, 1.0)


def holm(p: Floats) -> Floats:
    """Return p-values adjusted over the cells of each gate: [gate, cell]."""
    order = np.argsort(p, axis=1)
    left = p.shape[1] - np.arange(p.shape[1])
    ordered = np.minimum(np.take_along_axis(p, order, axis=1) * left, 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(ordered, axis=1), axis=1)
    return adjusted
