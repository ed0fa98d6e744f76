"""Many differences judged together: what is sure, and what moderating does."""

import numpy as np
import pytest

from rtfbench.results.moderated import ALPHA_TOGETHER, judge_together

SESSIONS, GROUPS = 4, 12
SIZES = {f"kind {number}": 2.0**number for number in range(GROUPS)}


def reports(count: int, *, shift: float = 0.0) -> list[dict[str, bool]]:
    """Return what is sure in many reports; the first group differs by so many standard deviations.

    A group scatters by about 2 % of its size, some twice as much as others.
    """
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        values = {}
        for place, (name, size) in enumerate(SIZES.items()):
            sd = 0.02 * size * np.exp(rng.normal(0, 0.5))
            values[name] = rng.normal(0 if place else shift * sd, sd, SESSIONS).tolist()
        judged = judge_together(values, SIZES, family=2 * GROUPS)
        found.append({name: each.sure for name, each in judged.items()})
    return found


def test_identical_engines_hardly_ever_differ_surely() -> None:
    """In one of a hundred reports at most, however many groups each has."""
    wrong = sum(any(each.values()) for each in reports(600))
    assert wrong <= 600 * ALPHA_TOGETHER + 3


def test_a_large_difference_is_sure() -> None:
    """One of eight standard deviations of a session is seen nearly always."""
    assert np.mean([each["kind 0"] for each in reports(100, shift=8)]) > 0.9


def test_one_session_or_nothing_says_nothing() -> None:
    """There is no interval without two sessions, nor of what takes no time."""
    assert judge_together({"a": [1.0], "b": [0.0, 0.0]}, {"a": 1.0, "b": 0.0}, family=2) == {}


def test_a_group_alone_has_students_interval() -> None:
    """Without others, nothing is known but its own sessions."""
    found = judge_together({"a": [1.0, 2.0, 3.0]}, {"a": 10.0}, family=1)["a"]
    half = 4.302652729749464 / 3**0.5
    assert found.interval == pytest.approx((2.0 - half, 2.0 + half))
