"""The first slower version is found by halving, and nothing is found where nothing is slower."""

import random
from contextlib import nullcontext

import pytest

from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.engines.protocol import parse_engine
from rtfbench.gate.baseline import GateOptions
from rtfbench.gate.bisection import (
    Bisected,
    Halving,
    Versions,
    answer,
    between,
    bisect,
    listed,
    most_comparisons,
)
from rtfbench.gate.verdict import Answer

RELEASED = [
    "1.20.0",
    "1.20.1",
    "1.21.0",
    "1.22.0rc1",
    "1.22.0",
    "1.22.1",
    "1.32.0",
    "1.32.1",
    "1.9",
]


def searched(count: int, bad_from: int | None, *, wrong: float = 0.0, seed: int = 0) -> Bisected:
    """Return what is found among so many versions, where a judge errs with some probability."""
    rng = random.Random(seed)

    def judge(base: str, candidate: str) -> Halving:
        slower = bad_from is not None and int(base) < bad_from <= int(candidate)
        if rng.random() < wrong:
            slower = not slower
        answer: Answer = "regression" if slower else "pass"
        return Halving(base, candidate, answer, "")

    return bisect([str(number) for number in range(count)], judge)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 13, 40])
def test_every_place_is_found(count: int) -> None:
    """Wherever the first slower version is, it is named, in as few comparisons as are promised."""
    for bad_from in range(1, count):
        found = searched(count, bad_from)
        assert (found.outcome, found.last_good, found.first_bad) == (
            *("found", str(bad_from - 1)),
            str(bad_from),
        )
        assert len(found.steps) <= most_comparisons(count)


def test_identical_versions_are_none() -> None:
    """One comparison of the ends is enough where nothing is slower."""
    found = searched(13, None)
    assert (found.outcome, len(found.steps)) == ("none", 1)


def test_an_error_on_the_way_names_no_version_wrongly() -> None:
    """A judge that errs once in twenty gets a wrong version past the last comparison rarely."""
    found = [searched(13, 7, wrong=0.05, seed=seed) for seed in range(400)]
    named = [each for each in found if each.outcome == "found"]
    wrong = [each for each in named if each.first_bad != "7"]
    assert len(named) > 280
    assert len(wrong) < 0.02 * len(found)


def test_a_version_that_cannot_be_told_is_left_out() -> None:
    """The search goes on beside it; the versions around the answer are named all the same."""

    def judge(base: str, candidate: str) -> Halving:
        answer: Answer = "regression" if int(base) < 6 <= int(candidate) else "pass"
        return Halving(base, candidate, "inconclusive" if candidate in untold else answer, "")

    versions = [str(number) for number in range(9)]
    untold = {"4"}
    assert bisect(versions, judge).first_bad == "6"
    untold = {"5"}
    found = bisect(versions, judge)
    assert (found.outcome, found.last_good, found.first_bad) == ("cannot be told", "4", "6")
    untold = {"8"}
    assert bisect(versions, judge).outcome == "cannot be told"


def test_what_no_version_can_change_is_bad_input() -> None:
    """Ends that cannot be compared end the search with the reason; one between is left out."""

    def versions(*chosen: str) -> Versions:
        return Versions(
            parse_engine("null"), chosen, GateOptions(), lambda: nullcontext(Progress())
        )

    found = versions("1", "2", "3").hold("1", "2")
    assert found.answer == "inconclusive"
    assert "which package null comes from is not known" in found.why
    with pytest.raises(InputError, match="which package null comes from is not known"):
        versions("1", "2", "3").hold("1", "3")


@pytest.mark.parametrize(
    ("measured", "cure"),
    [(True, "a larger --budget may tell"), (False, "gave no times; name versions that run")],
)
def test_versions_that_do_not_run_are_no_matter_of_the_budget(measured: bool, cure: str) -> None:
    """Where one side gave no times, other versions are the cure, and a longer budget is none."""

    def judge(base: str, candidate: str) -> Halving:
        why = "MNN cannot load this model"
        return Halving(base, candidate, "inconclusive", why, measured=measured)

    versions = ("3.0", "3.6")
    asked = Versions(parse_engine("mnn"), versions, GateOptions(), lambda: nullcontext(Progress()))
    assert cure in answer(asked, bisect(versions, judge))


def test_a_span_takes_all_that_begin_with_its_end() -> None:
    """Both ends are in it, releases alone, sorted as versions and not as text."""
    assert between("1.20..1.22", RELEASED) == ["1.20.0", "1.20.1", "1.21.0", "1.22.0", "1.22.1"]
    assert between("1.9..1.20.0", RELEASED) == ["1.9", "1.20.0"]
    assert listed("1.10, 1.9,1.10") == ["1.9", "1.10"]


@pytest.mark.parametrize("span", ["1.20", "1.20..", "a..b", "2..3", "1.32.1..1.32.1", "1.22..1.20"])
def test_what_is_no_span_is_refused(span: str) -> None:
    """One line says how a span is written, or which versions there are."""
    with pytest.raises(InputError):
        between(span, RELEASED)


def test_a_span_from_new_to_old_is_told_the_other_way() -> None:
    """The cure is the span that was meant; an end of fewer parts is no end before its versions."""
    with pytest.raises(InputError, match=r"write 1\.20\.\.1\.22$"):
        between("1.22..1.20", RELEASED)
    assert between("1.20.0..1.20", RELEASED) == ["1.20.0", "1.20.1"]
