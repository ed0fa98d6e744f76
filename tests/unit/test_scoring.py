"""EER and minDCF: hand-computed cases, and an exhaustive search over thresholds."""

import itertools

import numpy as np
import pytest

from rtfbench.embed.scoring import cosine, similarity
from rtfbench.engines.protocol import FloatArray
from tests.rates import eer, min_dcf


def vector(*values: float) -> FloatArray:
    """Return float32 [D]."""
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (vector(1, 0), vector(2, 0), 1.0),
        (vector(1, 0), vector(0, 3), 0.0),
        (vector(1, 2), vector(-1, -2), -1.0),
        (vector(3, 4), vector(4, 3), 0.96),
        (vector(0, 0), vector(4, 3), 0.0),
        (vector(1e20, 0), vector(1e20, 0), 1.0),
    ],
)
def test_cosine(first: FloatArray, second: FloatArray, expected: float) -> None:
    """The cosine depends on directions alone; mapped to [0, 1] it is (cosine + 1) / 2."""
    assert cosine(first, second) == pytest.approx(expected)
    assert similarity(first, second) == pytest.approx((expected + 1) / 2)


@pytest.mark.parametrize(
    ("targets", "nontargets", "expected"),
    [
        ([2, 3], [0, 1], 0.0),  # a threshold parts them
        ([0, 1], [2, 3], 1.0),  # every target is below every nontarget
        ([1, 3], [0, 2], 0.5),  # between 1 and 2: one of two missed, one of two accepted
        ([1, 2, 3, 4], [0, 0, 0, 2.5], 0.25),  # reject up to 1: 1/4 missed, 1/4 accepted
        ([5], [5], 0.5),  # all equal: from (0, 1) straight to (1, 0)
        ([1, 2, 3], [0, 1.5], 1 / 3),  # at 1 rejected: 1/3 missed, 1/2 accepted; at 1.5: 1/3, 0
    ],
)
def test_eer_by_hand(targets: list[float], nontargets: list[float], expected: float) -> None:
    """Small cases that can be worked out on paper."""
    labels = [True] * len(targets) + [False] * len(nontargets)
    assert eer([*targets, *nontargets], labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("targets", "nontargets", "p_target", "expected"),
    [
        ([2, 3], [0, 1], 0.01, 0.0),
        ([0, 1], [2, 3], 0.01, 1.0),  # rejecting everything is as good as it gets
        ([1, 3], [0, 2], 0.01, 0.5),  # reject up to 2: half of the targets, no false alarm
        ([1, 3], [0, 2], 0.5, 0.5),
        ([1, 3], [0, 2], 0.99, 0.5),  # reject only 0: no miss, half of the false alarms
    ],
)
def test_min_dcf_by_hand(
    targets: list[float], nontargets: list[float], p_target: float, expected: float
) -> None:
    """Small cases that can be worked out on paper, at both ends of the prior."""
    labels = [True] * len(targets) + [False] * len(nontargets)
    assert min_dcf([*targets, *nontargets], labels, p_target=p_target) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("decimals", [1, 8])
def test_every_threshold_is_tried(seed: int, decimals: int) -> None:
    """Counting at every threshold, ties and all, finds the same cost and the same crossing."""
    rng = np.random.default_rng(seed)
    labels = rng.random(60) < 0.3
    labels[:2] = True, False
    scores = np.round(rng.normal(labels * 1.0, 1), decimals)
    points = []
    for threshold in [-np.inf, *np.unique(scores), np.inf]:
        accepted = scores >= threshold
        points.append((np.mean(~accepted[labels]), np.mean(accepted[~labels])))
    costs = [(0.01 * miss + 0.99 * alarm) / 0.01 for miss, alarm in points]
    assert min_dcf(list(scores), list(labels)) == pytest.approx(min(costs))
    for (miss, alarm), (next_miss, next_alarm) in itertools.pairwise(points):
        if miss <= alarm and next_miss >= next_alarm:
            low, high = 0.0, 1.0
            for _ in range(60):  # halve the way until both rates are equal
                share = (low + high) / 2
                at_miss = miss + share * (next_miss - miss)
                at_alarm = alarm + share * (next_alarm - alarm)
                low, high = (share, high) if at_miss < at_alarm else (low, share)
            crossing = at_miss
            break
    assert eer(list(scores), list(labels)) == pytest.approx(crossing)


def test_order_and_scale_do_not_matter() -> None:
    """Only the ranks of the scores count, in whatever order the trials come."""
    rng = np.random.default_rng(3)
    labels = rng.random(200) < 0.5
    scores = rng.normal(labels, 1)
    order = rng.permutation(200)
    shuffled = np.exp(scores[order])
    assert eer(list(shuffled), list(labels[order])) == eer(list(scores), list(labels))
    assert min_dcf(list(shuffled), list(labels[order])) == min_dcf(list(scores), list(labels))


@pytest.mark.parametrize("labels", [[True, True], [False, False]])
def test_one_kind_of_trial_has_no_rates(labels: list[bool]) -> None:
    """Rates of nothing are refused."""
    with pytest.raises(ValueError, match="both kinds"):
        eer([0.1, 0.2], labels)
