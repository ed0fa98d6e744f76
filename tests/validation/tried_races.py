"""Whole races of tune on trial: what is named, and how much faster it is said to be."""

import math
from dataclasses import dataclass

import numpy as np

from rtfbench.results.estimate import RatioEstimate, ratio_estimate
from rtfbench.results.moderated import SPREAD, SessionValues
from rtfbench.tune.standings import Rival, Rules, Standing, near_leader, ranked
from tests.validation.scenario import Floats
from tests.validation.trial import Tried

#: A race that has not ended by then names nothing.
MOST_SESSIONS = 12
BLOCKS, NOISE, MARGIN = 2, 0.015, 0.02
DEFAULT = 0
GAINS_HOLD = (0.92, 1.0)


@dataclass(frozen=True)
class Raced:
    """A race's end: what is named, the runner-up, and log times [session, cell, block].

    The last cell is the default's ghost; `sessions` are those of each that was dropped.
    """

    named: int
    runner_up: int | None
    logs: Floats
    sessions: dict[int, int]

    def gain(self, other: int) -> RatioEstimate:
        """Return how many times as long another takes as the named one."""
        logs = self.logs[: self.sessions.get(other)]
        found = ratio_estimate(
            (logs[:, other] - logs[:, self.named]).tolist(),
            ghost=(self.logs[:, -1] - self.logs[:, DEFAULT]).mean(1).tolist(),
        )
        assert found is not None
        assert found.interval is not None
        return found


def race(rng: np.random.Generator, truths: Floats, luck: float) -> Raced | None:
    """Race configurations of known times, the default first; None where nothing is named."""
    logs = np.empty((0, len(truths) + 1, BLOCKS))
    running, sessions = list(range(len(truths))), dict[int, int]()
    rules = Rules(0.0, MARGIN, rivals=len(truths) - 1)
    for count in range(1, MOST_SESSIONS + 1):
        drawn = np.log([*truths, truths[DEFAULT]])[:, None] + NOISE * rng.standard_normal(
            logs.shape[1:]
        )
        drawn += luck * rng.standard_normal((len(drawn), 1))
        logs = np.concatenate([logs, drawn[None]])
        means = logs.mean(2)
        level = (means - means[:, [DEFAULT]]).mean(0)
        first, *others = sorted(running, key=lambda cell: level[cell])
        misled = tuple(means[:, -1] - means[:, DEFAULT])
        rivals = [
            Rival(
                cell_id=str(cell),
                level=math.exp(level[cell]),
                values=SessionValues(tuple(means[:, cell] - means[:, first]), misled),
                stratum=cell,
                prior=SPREAD,
            )
            for cell in others
        ]
        leader = Standing(str(first), "leads", 1.0, None, math.exp(level[first]), count)
        found = ranked(leader, rivals, rules)
        dropped = {int(each.cell_id): count for each in found if each.fate == "slower"}
        sessions |= dropped
        running = [cell for cell in running if cell not in dropped]
        left = [each for each in found if each.fate != "slower"]
        if all(each.fate != "open" for each in left):
            # The default is the nearest to itself, and the others are by their number.
            named = min(int(each.cell_id) for each in near_leader(left))
            behind = [each for each in left if int(each.cell_id) != named]
            runner_up = min(behind, key=lambda each: each.ratio, default=None)
            return Raced(named, int(runner_up.cell_id) if runner_up else None, logs, sessions)
    return None


def try_gains(trials: int, seed: int) -> list[Tried]:
    """How much faster than the default, and than the next one, what wins a race is."""
    rows = []
    for luck in (0.005, 0.02):
        for count in (4, 10):
            rng = np.random.default_rng((seed, count, round(1e3 * luck)))
            where = f"{count} configurations, luck {luck:.1%}"
            alike = [race(rng, np.ones(count), luck) for _ in range(trials)]
            false = sum(each is not None and each.named != DEFAULT for each in alike)
            rows.append(
                Tried("named by a race", f"{where}, all alike",
                      "another than the default in at most 10 %", trials, false, (0.0, 0.1))
            )  # fmt: skip
            truths = np.array([1.3, *(1 + 0.03 * np.arange(count - 1))])
            ended = [each for _ in range(trials) if (each := race(rng, truths, luck)) is not None]
            told = {"the default": [(each, DEFAULT) for each in ended if each.named != DEFAULT]}
            told["the next one"] = [
                (each, each.runner_up) for each in ended if each.runner_up is not None
            ]
            for what, pairs in told.items():
                held, widths = 0, []
                for each, other in pairs:
                    low, high = each.gain(other).interval or (math.nan, math.nan)
                    held += low <= truths[other] / truths[each.named] <= high
                    widths.append((high - low) / 2)
                if pairs:
                    rows.append(
                        Tried("times as fast", f"as {what}, {where}", "95 % hold the truth",
                              len(pairs), held, GAINS_HOLD, half_width=float(np.median(widths)))
                    )  # fmt: skip
    return rows
