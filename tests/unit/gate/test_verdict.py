"""The gate's three answers, on times that are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from rtfbench.gate.verdict import (
    Criterion,
    Pair,
    Ruling,
    criteria,
    judge,
    latency_ruling,
    overall,
    undecided,
    values_of,
)
from rtfbench.results.records import Record
from rtfbench.results.server import REJECTED
from rtfbench.results.store import CellData
from tests.unit.test_contrasts import add, cell_data
from tests.validation.stolen import Host, Side, gate

RTF = Criterion("RTF", lambda record: record.processing_ns, 0.02, 0.05)
BUDGET_S = 60.0


def pair(
    ratios: Sequence[float],
    *,
    ghost: float = 1.0,
    noise: float = 0.002,
    name: str = "cell",
    seed: int = 0,
) -> Pair:
    """Return sides of which the candidate takes so many times as long, session by session."""
    rng = np.random.default_rng([seed, len(ratios)])
    candidate, baseline, twin = (
        cell_data("mnn"),
        cell_data("mnn", replica="baseline"),
        cell_data("mnn", replica="ghost"),
    )
    for session, ratio in enumerate(ratios):
        for block in range(2):
            for position in (0, 1):
                for data, factor in ((candidate, ratio), (baseline, 1.0), (twin, ghost)):
                    ms = 100 * factor * rng.lognormal(0, noise)
                    add(data, session, block, position, a=ms)
    return Pair(name, candidate, baseline, twin, session_s=5.0)


def ruling(pairs: Sequence[Pair], criterion: Criterion = RTF) -> Ruling:
    """Return what is ruled of the first cell at the end."""
    seen = [each.seen([criterion]) for each in pairs]
    return judge(seen, [criterion], budget_s=BUDGET_S, final=True)[0]


def test_a_limit_under_the_margin_is_the_margin() -> None:
    """What is surely over what is allowed is a regression, and not undecided for ever."""
    rtf, *_ = criteria(margin=0.02, max_regression=0.01)
    assert ruling([pair([1.015] * 12)], rtf).answer == "regression"
    assert ruling([pair([1.0] * 12)], rtf).answer == "pass"


def test_identical_sides_pass() -> None:
    """The interval lies under what is allowed; limit, sessions and freedom are told."""
    found = ruling([pair([1.0] * 6)])
    assert found.answer == overall([found]) == "pass"
    assert (found.limit, found.sessions) == (0.05, 6)
    assert found.df == 6
    assert found.interval is not None
    assert found.interval[0] <= 1.0 <= found.interval[1] <= 1.05


def test_a_large_difference_takes_few_sessions() -> None:
    """1.85 times as long is a regression after three sessions, one tenth more after five."""
    assert ruling([pair([1.85] * 3)]).answer == "regression"
    found = ruling([pair([1.1] * 5)])
    assert (found.answer, found.why) == ("regression", "slower by more than 2%")


def test_a_faster_side_passes() -> None:
    """Getting faster is no regression."""
    assert ruling([pair([0.7] * 4)]).answer == "pass"


def test_what_is_undecided_says_what_would_decide() -> None:
    """An interval across the limit is no answer; the present spread tells the budget for one."""
    found = ruling([pair([1.02, 1.06, 1.01, 1.05])])
    assert found.answer == "inconclusive"
    assert undecided([found]) == ["cell"]
    budget_s = int(found.why.partition("--budget ")[2].split()[0])
    assert BUDGET_S + 5 < budget_s < 2000


@pytest.mark.parametrize(("sessions", "counted"), [(0, "no session"), (1, "one session")])
def test_one_session_decides_nothing(sessions: int, counted: str) -> None:
    """How much processes differ shows between sessions: two are the fewest."""
    found = ruling([pair([1.85] * sessions)])
    assert found.answer == "inconclusive"
    assert found.interval is None
    assert found.why.startswith(f"not judged: {counted}")


def test_a_ghost_that_differs_has_to_be_outdone() -> None:
    """What the baseline differs from itself is not blamed on the candidate, but is no veto."""
    sessions = 8
    assert ruling([pair([1.06] * sessions)]).answer == "regression"
    doubtful = ruling([pair([1.06] * sessions, ghost=1.04)])
    assert doubtful.answer == "inconclusive"
    assert "the baseline differs from itself by" in doubtful.why
    assert ruling([pair([1.85] * sessions, ghost=1.04)]).answer == "regression"


def test_many_cells_are_adjusted_for() -> None:
    """The same evidence counts for less among many."""
    alone = [pair([1.031, 1.03, 1.029, 1.03, 1.031, 1.03], noise=0.0)]
    others = [pair([1.0] * 6, name=str(n), seed=n) for n in range(40)]
    for data in (each.candidate for each in others):  # other engines: no spread is shared
        object.__setattr__(data, "declaration", cell_data(f"e{id(data)}").declaration)
    strict = Criterion("RTF", lambda record: record.processing_ns, 0.02, 0.03)
    first, among = ruling(alone, strict), ruling([*alone, *others], strict)
    assert (first.answer, among.answer) == ("regression", "inconclusive")


def test_cells_of_one_stratum_tell_of_each_others_spread() -> None:
    """A quiet cell among those that scatter is not believed to be quiet for ever."""
    quiet = pair([1.0, 1.0, 1.0], noise=0.0)
    wild = [pair([0.9, 1.1, 0.95, 1.05], name=str(n)) for n in range(3)]
    alone, among = ruling([quiet]), ruling([quiet, *wild])
    assert alone.interval is not None
    assert among.interval is not None
    assert among.interval[1] - among.interval[0] > 2 * (alone.interval[1] - alone.interval[0])


def test_false_alarms_are_rare() -> None:
    """Of 300 gates of identical sides on a noisy machine, judged at every look, none alarms."""
    rng = np.random.default_rng(7)
    alarms = 0
    for seed in range(300):
        lucky = np.exp(rng.normal(0, 0.01, 6)).tolist()
        looks = [ruling([pair(lucky[:n], noise=0.01, seed=seed)]) for n in (2, 4, 6)]
        alarms += any(each.answer == "regression" for each in looks)
    assert alarms == 0


def test_only_sessions_that_all_have_count() -> None:
    """A session in which one of the three was cut short is left out for all."""
    found = pair([1.0] * 4)
    found.ghost.records[:] = [each for each in found.ghost.records if each.session != 2]
    assert len(values_of(RTF, found).u) == 3


def test_what_is_gated() -> None:
    """Processing time has the caller's limits; loading passes unless it is proved slower."""
    found = {each.name: each for each in criteria(margin=0.02, max_regression=0.05)}
    assert set(found) == {"RTF", "front end", "harness", "load", "first chunk"}
    assert (found["RTF"].margin, found["RTF"].max_regression) == (0.02, 0.05)
    assert found["load"].max_regression is None
    assert (found["load"].limit, found["RTF"].limit) == (0.25, 0.05)


def test_an_alarm_alone_passes_what_is_no_regression() -> None:
    """A criterion without a limit passes at the first look, and says that it has none to pass."""
    data = pair([1.1] * 2)
    assert isinstance(data.candidate, CellData)
    found = ruling([data], Criterion("first chunk", lambda r: r.processing_ns, 0.25, None))
    assert (found.answer, found.limit) == ("pass", 0.25)


def test_one_regression_decides_a_cell() -> None:
    """What else is open of a slower cell is measured no further; other cells go on."""
    open_ = Ruling("slow", "front end", "inconclusive")
    slow = Ruling("slow", "RTF", "regression", 1.5, (1.4, 1.6))
    other = Ruling("other", "RTF", "inconclusive")
    assert undecided([slow, open_, other]) == ["other"]
    assert overall([slow, open_, other]) == "regression"
    larger = Ruling("slow", "model size", "regression", 2.0)
    assert undecided([larger, open_]) == ["slow"], "a size says nothing of times"


def test_what_was_not_asked_for_decides_nothing() -> None:
    """Two engines differ in memory and loading by nature: the verdict is the RTF's."""
    passed = Ruling("a", "RTF", "pass", 0.07)
    grown = Ruling("a", "peak RSS", "regression", 3.0, counts=False)
    open_ = Ruling("a", "front end", "inconclusive", 1.0, counts=False)
    assert overall([passed, grown, open_]) == "pass"
    assert undecided([passed, open_]) == []
    assert overall([grown, open_]) == "inconclusive"
    counted = {each.name: each.counts for each in criteria(margin=0.02, max_regression=0.05)}
    assert [name for name, counts in counted.items() if counts] == ["RTF"]
    asked = criteria(margin=0.02, max_regression=0.05, also=["load", "front-end"])
    assert [each.name for each in asked if each.counts] == ["RTF", "front end", "load"]


@pytest.mark.parametrize(
    ("limit_ms", "answer"), [(200, "pass"), (128, "inconclusive"), (100, "regression")]
)
def test_latencies_are_held_against_what_requests_may_take(limit_ms: float, answer: str) -> None:
    """A p99 of about 126 ms: passed, ruled out, or not to be told; of few requests, not judged."""
    rng = np.random.default_rng(1)
    records = [
        Record.model_construct(
            session=session,
            utterance_ns=tuple(int(each * 1e8) for each in rng.lognormal(0, 0.1, 300)),
        )
        for session in range(6)
    ]
    found = latency_ruling("cell", records, limit_ms)
    assert (found.criterion, found.answer, found.sessions) == ("p99", answer, 6)
    assert found.ratio == pytest.approx(126 / limit_ms, rel=0.03)
    few = latency_ruling("cell", records[:1], limit_ms)
    assert (few.answer, few.interval) == ("inconclusive", None)
    assert "a larger --budget" in few.why


def test_requests_that_find_no_place_are_late() -> None:
    """However soon the others are answered, p99 is not kept where one in ten is rejected."""
    records = [
        Record.model_construct(
            session=session, utterance_ns=(10_000_000,) * 90, own={REJECTED: tuple(range(10))}
        )
        for session in range(6)
    ]
    found = latency_ruling("cell", records, 100.0)
    assert (found.answer, found.ratio, found.interval) == ("regression", None, None)
    assert "rejected" in found.why


def test_a_noisy_machine_is_judged_by_undisturbed_times() -> None:
    """Identical sides pass where bursts take the cores, and a stall in every second chunk does not.

    A quiet machine is judged by all times: what stalls there is a regression. Beside a neighbour,
    what a side waits for of its own accord counts as what it computes does.
    """
    bursts = Host("bursts", 0.012, 0.8, taken=0.15)
    quiet = Host("quiet", 0.012, 0.8)
    neighbour = Host("neighbour", 0.012, 0.8, neighbour=True)
    for host, side, answer in (
        (bursts, Side(), "pass"),
        (bursts, Side(1.2), "regression"),
        (bursts, Side(stalls=0.5), "regression"),
        (quiet, Side(stalls=0.2), "regression"),
        (neighbour, Side(), "pass"),
        (neighbour, Side(1.1), "regression"),
        (neighbour, Side(idle=0.1), "regression"),
    ):
        assert gate(host, side, np.random.default_rng(0)).answer == answer, (host, side)
