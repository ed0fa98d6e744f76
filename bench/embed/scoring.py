"""Scores of trials and what they amount to: cosine, EER, minDCF and thresholds (pure)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.protocol import FloatArray

#: The operating point of the detection cost that is reported: NIST's, with equal costs.
P_TARGET = 0.01

Rates = npt.NDArray[np.float64]
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
    """Scores of labelled trials in order, for the error rates of many weightings."""

    def __init__(self, scores: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Sort the scores.

        Args:
            scores: [N], higher for more alike.
            labels: [N], True for a target trial; there is at least one of either kind.
        """
        values = np.asarray(scores, np.float64)
        self._order = np.argsort(values, kind="stable")
        self._scores = values[self._order]
        self._target = np.asarray(labels, bool)[self._order]
        if self._target.all() or not self._target.any():
            raise ValueError("need trials of both kinds: of the same speaker and of different ones")
        # Equal scores are rejected together: behind the last of each.
        ends = np.flatnonzero(np.append(self._scores[1:] != self._scores[:-1], True)) + 1
        self._rejected = np.concatenate([[0], ends])

    def rates(self, weights: Rates | None = None) -> tuple[Rates, Rates]:
        """Return (miss rate, false alarm rate), one pair a threshold.

        The first threshold accepts every trial, each next one rejects all trials of one more
        distinct score, the last one rejects every trial.

        Args:
            weights: [N], how often each trial counts; once by default.
        """
        counts = np.ones(len(self._order)) if weights is None else weights[self._order]
        missed = np.concatenate([[0], np.cumsum(counts * self._target)])
        passed = np.concatenate([[0], np.cumsum(counts * ~self._target)])
        miss = missed[self._rejected] / missed[-1]
        return miss, 1 - passed[self._rejected] / passed[-1]

    def at(self, threshold: float, weights: Rates | None = None) -> OperatingPoint:
        """Return the error rates of a threshold."""
        counts = np.ones(len(self._order)) if weights is None else weights[self._order]
        rejected = self._scores < threshold
        target = counts[self._target].sum(), counts[self._target & rejected].sum()
        other = counts[~self._target].sum(), counts[~self._target & ~rejected].sum()
        return OperatingPoint(threshold, float(target[1] / target[0]), float(other[1] / other[0]))

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
        above = self._scores[self._scores > bound]
        between = (bound + above[0]) / 2 if len(above) else bound + 10.0**-DECIMALS
        found = self.at(round(float(between), DECIMALS))
        while found.false_alarm > most:  # rounded down to the score itself
            found = self.at(round(found.threshold + 10.0**-DECIMALS, DECIMALS))
        return found


def eer(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the equal error rate: where misses and false alarms are equally frequent.

    Every threshold that the scores can tell apart is tried. Where no threshold makes both rates
    equal, they are taken to run straight from one threshold to the next.

    Args:
        scores: of the trials, higher for more alike.
        labels: True for a target trial; there is at least one of either kind.
    """
    return crossing(*Detection(scores, labels).rates())


def crossing(miss: Rates, false_alarm: Rates) -> float:
    """Return where two rates, one rising and one falling from threshold to threshold, are equal."""
    after = int(np.argmax(miss >= false_alarm))  # not 0: the first accepts everything
    gap_before = false_alarm[after - 1] - miss[after - 1]
    gap_after = miss[after] - false_alarm[after]
    share = gap_before / (gap_before + gap_after)
    return float(miss[after - 1] + share * (miss[after] - miss[after - 1]))


def min_dcf(
    scores: Sequence[float], labels: Sequence[bool], *, p_target: float = P_TARGET
) -> float:
    """Return the least detection cost of all thresholds, with C_miss = C_fa = 1.

    It is normalised by the cost of a decision that looks at no score: 1 means useless.
    """
    return least_cost(*Detection(scores, labels).rates(), p_target=p_target)


def least_cost(miss: Rates, false_alarm: Rates, *, p_target: float = P_TARGET) -> float:
    """Return the normalised detection cost of the threshold, of those given, where it is least."""
    cost = p_target * miss + (1 - p_target) * false_alarm
    return float(cost.min()) / min(p_target, 1 - p_target)
