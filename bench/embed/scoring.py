"""Scores of trials and what they amount to: cosine, EER, minDCF and thresholds (pure)."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtfbench.engines.protocol import FloatArray

#: The operating point of the detection cost that is reported: NIST's, with equal costs.
P_TARGET = 0.01

Rates = npt.NDArray[np.float64]
#: Trials that are gone through at a time.
BLOCK = 1 << 17
#: A threshold is told with so many decimals, as scores are.
DECIMALS = 6


def cosine(first_D: FloatArray, second_D: FloatArray) -> float:
    """Return the cosine of the angle between two embeddings, -1 to 1; 0 where one is zero."""
    first, second = first_D.astype(np.float64), second_D.astype(np.float64)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms else 0.0


def similarity(first_D: FloatArray, second_D: FloatArray) -> float:
    """Return the cosine mapped to [0, 1], which the WeSpeaker runtime compares with a threshold."""
    return (cosine(first_D, second_D) + 1) / 2


class OperatingPoint(NamedTuple):
    """A threshold, at which and above which a trial is accepted, and both error rates there."""

    threshold: float
    miss: float
    false_alarm: float


class Detection:
    """Scores of labelled trials in order, for the error rates of many weightings.

    Trials are gone through a block at a time, so that ten million of them fit into memory.
    """

    def __init__(
        self,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        speakers: Iterable[npt.NDArray[np.unsignedinteger[Any]]] = (),
    ) -> None:
        """Sort the scores.

        Args:
            scores: [N], higher for more alike.
            labels: [N], True for a target trial; there is at least one of either kind.
            speakers: [N] twice, the numbers of each trial's two speakers, where some are drawn.
        """
        values = np.asarray(scores, np.float64)
        order = np.argsort(values, kind="stable").astype(np.int32)
        self._scores = values[order]
        self._target = np.asarray(labels, bool)[order]
        if self._target.all() or not self._target.any():
            raise ValueError("need trials of both kinds: of the same speaker and of different ones")
        # Equal scores are rejected together: behind the last of each.
        self._ends = np.append(self._scores[1:] != self._scores[:-1], True)
        self._speakers = [each[order] for each in speakers]

    def rates(self) -> tuple[Rates, Rates]:
        """Return (miss rate, false alarm rate), one pair a threshold.

        The first threshold accepts every trial, each next one rejects all trials of one more
        distinct score, the last one rejects every trial.
        """
        curves = list(self._curve(None))
        miss, false_alarm = (np.concatenate([each[side] for each in curves]) for side in (0, 1))
        return np.append(0.0, miss), np.append(1.0, false_alarm)

    def figures(
        self, drawn: Rates | None = None, *, p_target: float = P_TARGET
    ) -> tuple[float, float] | None:
        """Return EER and least detection cost of all thresholds, None without trials of both kinds.

        The cost, with C_miss = C_fa = 1, is normalised by that of a decision that looks at no
        score: 1 means useless. Each speaker counts as often as it was drawn, or once.
        """
        before, found, costs = (0.0, 1.0), None, [1 - p_target]
        for miss, false_alarm in self._curve(drawn):
            if not len(miss):
                continue
            if found is None and miss[-1] >= false_alarm[-1]:
                miss, false_alarm = np.append(before[0], miss), np.append(before[1], false_alarm)
                found = crossing(miss, false_alarm)
            costs.append(float((p_target * miss + (1 - p_target) * false_alarm).min()))
            before = miss[-1], false_alarm[-1]
        return None if found is None else (found, min(costs) / min(p_target, 1 - p_target))

    def at(self, threshold: float, drawn: Rates | None = None) -> OperatingPoint:
        """Return the error rates of a threshold; the trials have to be of both kinds."""
        rejected = int(np.searchsorted(self._scores, threshold))
        totals, below = np.zeros(2), np.zeros(2)
        for begin, counts in self._counts(drawn):
            totals += [each.sum() for each in counts]
            below += [each[: max(rejected - begin, 0)].sum() for each in counts]
        miss, false_alarm = below[0] / totals[0], (totals[1] - below[1]) / totals[1]
        return OperatingPoint(threshold, float(miss), float(false_alarm))

    def _counts(self, drawn: Rates | None) -> Iterator[tuple[int, tuple[Rates, Rates]]]:
        """Yield how often trials count, a block at a time: its place, targets and the others.

        Once for a target trial's speaker, the product of both for a nontarget trial's.
        """
        for begin in range(0, len(self._scores), BLOCK):
            block = slice(begin, begin + BLOCK)
            target = self._target[block]
            if drawn is None:
                yield begin, (target.astype(np.float64), (~target).astype(np.float64))
                continue
            first, second = (drawn[each[block]] for each in self._speakers)
            targets = first * target
            second *= first - targets
            yield begin, (targets, second)

    def _curve(self, drawn: Rates | None) -> Iterator[tuple[Rates, Rates]]:
        """Yield miss and false alarm rates behind the thresholds of each block, none of no kind."""
        totals, block = np.zeros(2), None
        for block in self._counts(drawn):
            totals += [each.sum() for each in block[1]]
        if block is None or not totals.all():
            return
        missed, passed = 0.0, 0.0
        # One block alone is counted once.
        blocks = self._counts(drawn) if len(self._scores) > BLOCK else (block,)
        for begin, (targets, others) in blocks:
            ends = self._ends[begin : begin + BLOCK]
            miss, passes = missed + np.cumsum(targets), passed + np.cumsum(others)
            missed, passed = miss[-1], passes[-1]
            yield miss[ends] / totals[0], 1 - passes[ends] / totals[1]

    def at_false_alarm(self, most: float) -> OperatingPoint:
        """Return the lowest threshold with at most this false alarm rate, in `DECIMALS` decimals.

        Raises:
            ValueError: the trials are too few to tell such a rate.
        """
        others = self._scores[~self._target][::-1]
        if not 1 / len(others) <= most < 1:
            raise ValueError(
                f"{most:g} takes {np.ceil(1 / most):.0f} nontarget trials; there are {len(others)}"
            )
        bound = others[int(most * len(others))]
        above = self._scores[np.searchsorted(self._scores, bound, "right") :][:1]
        between = (bound + above[0]) / 2 if len(above) else bound + 10.0**-DECIMALS
        found = self.at(round(float(between), DECIMALS))
        while found.false_alarm > most:  # rounded down to the score itself
            found = self.at(round(found.threshold + 10.0**-DECIMALS, DECIMALS))
        return found


def crossing(miss: Rates, false_alarm: Rates) -> float:
    """Return where two rates, one rising and one falling from threshold to threshold, are equal.

    From one threshold to the next they are taken to run straight.
    """
    after = int(np.argmax(miss >= false_alarm))  # not 0: the first accepts everything
    gap_before = false_alarm[after - 1] - miss[after - 1]
    gap_after = miss[after] - false_alarm[after]
    share = gap_before / (gap_before + gap_after)
    return float(miss[after - 1] + share * (miss[after] - miss[after - 1]))
