"""Scores of trials and what they amount to: cosine, EER and minDCF (pure)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.protocol import FloatArray

#: The operating point of the detection cost that is reported: NIST's, with equal costs.
P_TARGET = 0.01

Rates = npt.NDArray[np.float64]

_TINY = float(np.finfo(np.float32).eps)


def cosine(first_D: FloatArray, second_D: FloatArray) -> float:
    """Return the cosine of the angle between two embeddings, -1 to 1; 0 where one is zero."""
    first, second = first_D.astype(np.float64), second_D.astype(np.float64)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / max(norms, _TINY)


def similarity(first_D: FloatArray, second_D: FloatArray) -> float:
    """Return the cosine mapped to [0, 1], which the WeSpeaker runtime compares with a threshold."""
    return (cosine(first_D, second_D) + 1) / 2


def eer(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the equal error rate: where misses and false alarms are equally frequent.

    Every threshold that the scores can tell apart is tried. Where no threshold makes both rates
    equal, they are taken to run straight from one threshold to the next.

    Args:
        scores: of the trials, higher for more alike.
        labels: True for a target trial; there is at least one of either kind.
    """
    return crossing(*_error_rates(scores, labels))


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
    return least_cost(*_error_rates(scores, labels), p_target=p_target)


def least_cost(miss: Rates, false_alarm: Rates, *, p_target: float = P_TARGET) -> float:
    """Return the normalised detection cost of the threshold, of those given, where it is least."""
    cost = p_target * miss + (1 - p_target) * false_alarm
    return float(cost.min()) / min(p_target, 1 - p_target)


def _error_rates(
    scores: Sequence[float], labels: Sequence[bool]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (miss rate, false alarm rate), one pair a threshold.

    The first threshold accepts every trial, each next one rejects all trials of one more distinct
    score, the last one rejects every trial.
    """
    order = np.argsort(np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    target = np.asarray(labels, bool)[order]
    if target.all() or not target.any():
        raise ValueError("need trials of both kinds: of the same speaker and of different ones")
    # Equal scores are rejected together: behind the last of each.
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    rejected = np.concatenate([[0], ends])
    missed = np.concatenate([[0], np.cumsum(target)])[rejected]
    miss = missed / target.sum()
    false_alarm = 1 - (rejected - missed) / (~target).sum()
    return miss, false_alarm
