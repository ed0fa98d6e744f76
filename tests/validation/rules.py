"""Decision rules compared by name, on the same simulated machines: how often wrong, how soon?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from rtfbench.report.markdown import grid
from rtfbench.results.moderated import MOST_PRIOR_FREEDOM, ghost_scale, moderated_scale
from rtfbench.results.sequential import ALPHAS, LOOKS, ghost_offs, reaches
from tests.validation.outcome import GOING_ON, PASS, REGRESSION, Outcome
from tests.validation.rank_sums import rank_sums
from tests.validation.rates import rate
from tests.validation.scenario import Floats, Scenario, draw_values

#: So many sessions are simulated together, to bound the memory.
BATCH = 20_000


class Tally:
    """Sessions counted, and their mean and sum of squares, of every cell of every gate."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.sessions = np.zeros(shape)
        self.mean = np.zeros(shape)
        self.squares = np.zeros(shape)

    def add(self, where: tuple[npt.NDArray[np.intp], ...], values: Floats) -> None:
        """Add a session to some of the cells (Welford's update)."""
        self.sessions[where] += 1
        step = values - self.mean[where]
        self.mean[where] += step / self.sessions[where]
        self.squares[where] += step * (values - self.mean[where])

    def scale(self, prior: float, most_prior_freedom: float) -> tuple[Floats, Floats]:
        """Return the moderated spread of every cell, all cells of a gate being one stratum."""
        freedom = np.maximum(self.sessions - 1, 0)
        return moderated_scale(
            self.squares,
            self.sessions,
            self.squares.sum(axis=1, keepdims=True) - self.squares,
            freedom.sum(axis=1, keepdims=True) - freedom,
            prior=prior,
            most_prior_freedom=most_prior_freedom,
        )

    def ghost_scale(self, prior: float, most_prior_freedom: float) -> Floats:
        """Return what ghosts let expect of their cells' spread, all cells being one stratum."""
        squares = self.squares + self.sessions * self.mean**2
        return ghost_scale(
            squares,
            self.sessions,
            squares.sum(axis=1, keepdims=True) - squares,
            self.sessions.sum(axis=1, keepdims=True) - self.sessions,
            prior=prior,
            most_prior_freedom=most_prior_freedom,
        )


def sequential(
    scenario: Scenario,
    trials: int,
    rng: np.random.Generator,
    *,
    most_prior_freedom: float = MOST_PRIOR_FREEDOM,
    ghost: bool = True,
    looks: Sequence[int] = LOOKS,
    alpha: float = ALPHAS["RTF"],
) -> Outcome:
    """Look after every session, a session of each undecided cell in turn.

    The budget is wall time: loading counts. With `ghost`, the spread is at least what the ghost's
    sessions let expect.
    """
    shape = (trials, scenario.cells)
    u, v = Tally(shape), Tally(shape)
    answers = np.full(shape, GOING_ON)
    seconds = np.zeros(shape)
    spent = np.zeros(trials)
    session_s = scenario.loading_s + scenario.blocks * scenario.block_s(scenario.chunks)
    budget_s = scenario.budget_s * scenario.cells

    def look(going: npt.NDArray[np.bool_]) -> None:
        scale, df = u.scale(scenario.prior, most_prior_freedom)
        if ghost:
            scale = np.maximum(scale, v.ghost_scale(scenario.prior, most_prior_freedom))
        offs = ghost_offs(v.mean, *v.scale(scenario.prior, most_prior_freedom), v.sessions)
        low, high = reaches(u.mean, scale, df, u.sessions, offs, cells=scenario.cells, alpha=alpha)
        answers[going & (high <= np.log1p(scenario.limit))] = PASS
        answers[going & (low > np.log1p(scenario.margin))] = REGRESSION

    for number in range(1, looks[-1] + 1):
        going = answers == GOING_ON
        cost = going @ session_s
        going &= (spent + cost <= budget_s)[:, None]
        if not going.any():
            break
        where = np.nonzero(going)
        for tally, values in zip((u, v), draw_values(rng, scenario, where[1]), strict=True):
            tally.add(where, values)
        spent += going @ session_s
        seconds[going] = np.broadcast_to(spent[:, None], shape)[going]
        if number in looks:
            look(going)
    look((answers == GOING_ON) & (u.sessions >= looks[0]))  # what the budget's end leaves
    return Outcome(answers, seconds)


Rule = Callable[[Scenario, int, np.random.Generator], Outcome]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "guarded": sequential,
        "moderated": partial(sequential, ghost=False),
        "student": partial(sequential, most_prior_freedom=0.0, ghost=False),
        "rank sums": rank_sums,
    }
)


@dataclass(frozen=True)
class Row:
    """What a rule said in many gates of one scenario.

    The answers are those about the first cell, and the seconds the median until then. `alarms`
    counts gates that called a cell slower whose true ratio is within the margin.
    """

    rule: str
    scenario: Scenario
    trials: int
    regression: int
    passed: int
    inconclusive: int
    alarms: int
    seconds: float
    gate_seconds: float


def compare_rules(names: Iterable[str], scenario: Scenario, trials: int, seed: int) -> list[Row]:
    """Return a row for each of these rules."""
    return [_row(name, scenario, _outcome(name, scenario, trials, seed)) for name in names]


def _outcome(name: str, scenario: Scenario, trials: int, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    batch = max(1, BATCH // scenario.cells)
    parts = [
        RULES[name](scenario, min(batch, trials - begin), rng) for begin in range(0, trials, batch)
    ]
    return Outcome(
        np.concatenate([part.answers for part in parts]),
        np.concatenate([part.seconds for part in parts]),
    )


def _row(name: str, scenario: Scenario, outcome: Outcome) -> Row:
    first = outcome.answers[:, 0]
    innocent = scenario.ratios() <= 1 + scenario.margin
    alarms = ((outcome.answers == REGRESSION) & innocent).any(axis=1)
    return Row(
        rule=name,
        scenario=scenario,
        trials=len(first),
        regression=int((first == REGRESSION).sum()),
        passed=int((first == PASS).sum()),
        inconclusive=int((first == GOING_ON).sum()),
        alarms=int(alarms.sum()),
        seconds=float(np.median(outcome.seconds[:, 0])),
        gate_seconds=float(np.median(outcome.seconds.max(axis=1))),
    )


def rules_table(rows: Sequence[Row]) -> str:
    """Return a row for each rule and true ratio."""
    lines = [
        ["rule", "cells", "true ratio", "called slower", "pass", "inconclusive", "false alarms"]
    ]
    lines[0] += ["seconds to the answer, median"]
    lines += [
        [
            row.rule,
            str(row.scenario.cells),
            f"{row.scenario.ratio:.2f}",
            *(rate(n, row.trials) for n in (row.regression, row.passed, row.inconclusive)),
            rate(row.alarms, row.trials),
            f"{row.seconds:.0f}",
        ]
        for row in rows
    ]
    return grid(lines, [False, *[True] * 7])
