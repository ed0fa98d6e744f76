"""Capacities that are known, found through the very loop that measures."""

import math
import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from rtfbench.measure.open_loop import rounds
from rtfbench.measure.queueing import Imagined, WaitingLine, arrivals_ns, serve
from rtfbench.report import markdown
from rtfbench.report.capacity import of_capacity
from rtfbench.results import capacity
from rtfbench.results.capacity import (
    Capacity,
    CapacityAnswer,
    EngineCapacity,
    Pass,
    Requests,
    latencies_s,
)
from rtfbench.results.load import HOP_S, Load
from tests.unit.measure.test_open_loop import by_recursion

#: Serving a request takes so long on average.
MEAN_S = 0.01
SLO = 0.99
#: So many sessions move the rate of the next one.
SEARCHING = 8
Law = Callable[[random.Random], float]


def exponential(rng: random.Random) -> float:
    """Return a time of which the mean is 1."""
    return rng.expovariate(1)


def recordings(rng: random.Random) -> float:
    """Return how long one of many recordings of different length takes; the mean is 1."""
    return rng.uniform(0.3, 1.7)


def always(_: random.Random) -> float:
    """Return the same time."""
    return 1.0


def hiccups(rng: random.Random) -> float:
    """Return a time that is ten times as long once in fifty times; the mean is 1."""
    return (10 if rng.random() < 0.02 else 1) / 1.18


def measured(
    requests: Requests, law: Law, *, rate_per_s: float, seed: str, slower: float = 1.0
) -> list[Pass]:
    """Return a session: two passes of the same requests, through the loop with a scripted clock.

    A pass is the end of a longer one, as if requests had gone on for long when it begins.
    """
    before, count, found = 140, 60, []
    service_ns = [
        int(law(rng) * slower * MEAN_S * 1e9) + 1
        for rng, number in ((random.Random(f"{seed}/before"), before), (random.Random(seed), count))
        for _ in range(number)
    ]
    for number in range(2):
        due_ns = arrivals_ns(
            Load(rate_per_s=rate_per_s), before + count, seed=f"{seed}/arrivals/{number}"
        )
        served = serve(due_ns, Imagined(service_ns), WaitingLine(requests.servers)).served
        counted = sorted(
            (each for each in served if each.request >= before), key=lambda each: each.request
        )
        found.append(
            Pass(
                rate_per_s,
                tuple((each.done_ns - each.began_ns) / 1e9 for each in counted),
                sum(each.done_ns - each.due_ns > requests.latency_s * 1e9 for each in counted),
            )
        )
    return found


def searched(
    law: Law,
    *,
    latency: float,
    sessions: int,
    seed: int,
    servers: int = 1,
    slower: float = 1.0,
    luck: float = 0.0,
) -> Requests:
    """Return what a search measures, each session at the rate that the capacity seems to be.

    After so many sessions the rate stays, for it hardly moves. A session has luck of its own, whose
    logarithm has that standard deviation.
    """
    found, rate_per_s = Requests(latency * MEAN_S, SLO, servers), 0.4 * servers / MEAN_S
    for number in range(sessions):
        own = slower * math.exp(random.Random(f"{seed}/{number}/{slower}/luck").gauss(0, luck))
        found.sessions.append(
            measured(found, law, rate_per_s=rate_per_s, seed=f"{seed}/{number}", slower=own)
        )
        if number < SEARCHING:
            rate_per_s = found.worth_trying(seed=seed)
    return found


def of(requests: Requests, *, seed: int = 1, blocks: int = 1) -> Capacity:
    """Return a capacity that there is."""
    found = requests.capacity(seed=seed, blocks=blocks)
    assert found is not None
    return found


def where_too_many_are_late(late: Callable[[float], float]) -> float:
    """Return the load, as a share of what processes serve, at which one in a hundred is late."""
    low, high = 0.01, 0.999
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if late(middle) <= 1 - SLO else (low, middle)
    return low


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay shorter queues, and less often: intervals hold as often, and are wider."""
    monkeypatch.setattr(capacity, "LONG", (1000, 320))


@cache
def exact(law: Law, *, latency: float, servers: int = 1, luck: float = 0.0) -> float:
    """Return a capacity from a million requests that count."""
    draws, rng, shape = random.Random(0), np.random.default_rng(0), (4000, 500)
    known_s = np.array([law(draws) * MEAN_S for _ in range(200_000)])
    service_s = rng.choice(known_s, shape) * np.exp(luck * rng.standard_normal(shape))
    due_s = rng.exponential(size=shape).cumsum(axis=0) * MEAN_S / servers

    def late(load: float) -> float:
        took_s = latencies_s(service_s, due_s / load, servers=servers)
        return float((took_s[2000:] > latency * MEAN_S).mean())

    return where_too_many_are_late(late) * servers / MEAN_S


@pytest.mark.parametrize("servers", [1, 2, 5])
@pytest.mark.parametrize("load", [0.3, 0.8, 1.2])
def test_a_replay_is_the_queue_that_is_measured(servers: int, load: float) -> None:
    """At any load and with any number of processes, it is what the recursion says."""
    rng = random.Random(f"{servers} {load}")
    service_ns = [int(rng.expovariate(1 / 1e7)) + 1 for _ in range(1000)]
    due_ns = arrivals_ns(Load(rate_per_s=load * servers / MEAN_S), 1000, seed="replay")
    both_s = (np.array(each)[:, np.newaxis] / 1e9 for each in (service_ns, due_ns))
    took_s = latencies_s(*both_s, servers=servers)
    done_ns = by_recursion(due_ns, service_ns, servers)
    assert np.allclose(took_s[:, 0], np.subtract(done_ns, due_ns) / 1e9, atol=1e-9)


def late_in_theory(servers: int, load: float, latency: float) -> float:
    """Return which share of the requests of M/M/c takes longer than so many service times.

    Source: Gross and Harris, Fundamentals of Queueing Theory, section 2.3 (Erlang's C formula).
    """
    offered = load * servers
    full = offered**servers / math.factorial(servers) / (1 - load)
    waits = full / (sum(offered**n / math.factorial(n) for n in range(servers)) + full)
    own, spare = math.exp(-latency), servers - offered
    return own + waits * (own - math.exp(-spare * latency)) / (spare - 1)


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.usefixtures("few_draws")
def test_the_capacity_is_what_theory_says(servers: int) -> None:
    """M/M/1 and M/M/2, whose laws of the latency are known, from many sessions."""
    true = where_too_many_are_late(lambda load: late_in_theory(servers, load, 10))
    found = of(searched(exponential, latency=10, sessions=40, seed=3, servers=servers))
    assert found.rate_per_s * MEAN_S / servers == pytest.approx(true, rel=0.06)


def late_where_all_take_as_long(load: float, latency: int) -> float:
    """Return which share of the requests of M/D/1 takes longer than so many service times.

    Source: Erlang, The Theory of Probabilities and Telephone Conversations, 1909.
    """
    terms = (
        (-load * left) ** number / math.factorial(number) * math.exp(load * left)
        for number, left in enumerate(range(latency - 1, -1, -1))
    )
    return 1 - (1 - load) * sum(terms)


@pytest.mark.parametrize("searches", [20, pytest.param(200, marks=pytest.mark.deep)])
@pytest.mark.usefixtures("few_draws")
def test_the_replays_own_noise_is_told(searches: int) -> None:
    """M/D/1: where all requests take the same time, sessions leave nothing open but it does."""
    truth = where_too_many_are_late(lambda load: late_where_all_take_as_long(load, 10)) / MEAN_S
    requests = searched(always, latency=10, sessions=3, seed=1)
    held = 0
    for seed in range(searches):
        found = of(requests, seed=seed)
        assert found.interval is not None
        held += found.interval[0] <= truth <= found.interval[1]
    assert held / searches >= (0.92 if searches > 100 else 0.8)


@pytest.mark.parametrize(
    ("searches", "least", "most"),
    [(24, 0.8, 1.0), pytest.param(300, 0.93, 0.97, marks=pytest.mark.deep)],
)
@pytest.mark.usefixtures("few_draws")
def test_intervals_hold(searches: int, least: float, most: float) -> None:
    """Of 300 searches, 93 to 97 % hold each engine's capacity, and 93 % or more the ratio.

    Two dozen tell whether far too few do.
    """
    truth = exact(recordings, latency=10), exact(recordings, latency=10 / 1.3) / 1.3
    held, widths = np.zeros(3), []
    for seed in range(searches):
        fast, slow = (
            of(
                searched(recordings, latency=10, sessions=8, seed=seed, slower=slower),
                seed=seed,
            )
            for slower in (1.0, 1.3)
        )
        over = slow.over(fast)
        for number, (found, true) in enumerate(
            [(over, truth[1] / truth[0]), (fast, truth[0]), (slow, truth[1])]
        ):
            assert found.interval is not None
            held[number] += found.interval[0] <= true <= found.interval[1]
        assert over.interval is not None
        widths.append(over.interval[1] / over.interval[0])
    assert held[0] / searches >= least
    assert all(least <= each <= most for each in held[1:] / searches)
    assert np.median(widths) < 1.05


def windows(requests: Requests, law: Law, *, rate_per_s: float, mean_s: float, seed: str) -> Pass:
    """Return a pass of live streams, through the loop; the first window of each does not count."""
    load, rng = requests.load.at(rate_per_s), random.Random(seed)
    count = load.streams * (1 + rounds(load))
    service_ns = [int(law(rng) * mean_s * 1e9) + 1 for _ in range(count)]
    line = WaitingLine(1, streams=load.streams)
    due_ns = arrivals_ns(load, count, seed=f"{seed}/arrivals")
    served = serve(due_ns, Imagined(service_ns), line).served
    counted = [each for each in served if each.request >= load.streams]
    return Pass(
        load.rate_per_s,
        tuple((each.done_ns - each.began_ns) / 1e9 for each in counted),
        sum(each.done_ns - each.due_ns > requests.latency_s * 1e9 for each in counted),
    )


def late_of_streams(law: Law, streams: int, *, mean_s: float, latency_s: float) -> float:
    """Return which share of the windows of so many streams is late, over many beginnings."""
    rng, draws = np.random.default_rng(streams), random.Random(streams)
    known_s = np.array([law(draws) * mean_s for _ in range(100_000)])
    late, parts = 0.0, 30
    for _ in range(parts):
        began_s = np.sort(rng.random((streams, 60_000 // streams)), axis=0) * HOP_S
        turns, stream = np.divmod(np.arange(16 * streams), streams)
        due_s = began_s[stream] + turns[:, np.newaxis] * HOP_S
        took_s = latencies_s(rng.choice(known_s, due_s.shape), due_s, servers=1)
        late += (took_s[8 * streams :] > latency_s).mean() / parts
    return late


@cache
def streams_held(law: Law, *, mean_s: float, latency: float) -> float:
    """Return how many live streams are held.

    Between two whole numbers it is so much of the time the one, and for the rest the other, that
    one window in a hundred is late.
    """
    above = 1.0
    for streams in range(int(HOP_S / mean_s), -1, -1):
        below = late_of_streams(law, streams, mean_s=mean_s, latency_s=latency * mean_s)
        if below <= 1 - SLO:
            break
        above = below
    return streams + (1 - SLO - below) / (above - below)


LIVE = Load(rate_per_s=10 / HOP_S, streams=10, window_s=1.5, hop_s=HOP_S)


@pytest.mark.parametrize("latency", [3, 4, 5])
def test_few_streams_that_take_the_same_time_are_counted(latency: float) -> None:
    """Where nothing is left open but when streams begin, the count is right to a few percent.

    A limit of five windows is broken by none of seven streams, and by all of eight: more windows
    come then than are served.
    """
    truth = streams_held(always, mean_s=0.1, latency=latency)
    found = Requests(latency * 0.1, SLO, 1, LIVE, [[Pass(8.0, (0.1,) * 60, 0)]] * 3)
    capacities = [of(found, seed=seed) for seed in range(8)]
    intervals = [each.interval or (math.nan, math.nan) for each in capacities]
    assert all(each.rate_per_s * HOP_S == pytest.approx(truth, rel=0.05) for each in capacities)
    assert sum(low * HOP_S <= truth <= high * HOP_S for low, high in intervals) >= 6
    assert np.median([high / low for low, high in intervals]) < 1.08
    assert (7 <= truth < 7.05) == (latency == 5)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("law", "mean_s", "latency"),
    [(recordings, 0.03, 8), (recordings, 0.1, 3), (always, 0.1, 3), (always, 0.1, 4)],
)
def test_intervals_of_live_streams_hold(law: Law, mean_s: float, latency: float) -> None:
    """Of 200 searches, 92 to 98 % hold how many streams there may be, many or few."""
    truth, held, searches = streams_held(law, mean_s=mean_s, latency=latency), 0, 200
    for seed in range(searches):
        found, rate_per_s = Requests(latency * mean_s, SLO, 1, LIVE), 0.4 / mean_s
        for number in range(6):
            passes = [
                windows(
                    found, law, rate_per_s=rate_per_s, mean_s=mean_s,
                    seed=f"{seed}/{number}/{each}",
                )
                for each in range(2)
            ]  # fmt: skip
            found.sessions.append(passes)
            rate_per_s = found.worth_trying(seed=seed)
        interval = of(found, seed=seed).interval
        assert interval is not None
        held += interval[0] * HOP_S <= truth <= interval[1] * HOP_S
    assert 0.92 <= held / searches <= 0.98


@pytest.mark.deep
def test_a_ratio_is_within_5_percent_after_ten_minutes() -> None:
    """Of two engines that hold 74 and 45 requests a second, with sessions' luck of 3 %.

    Ten minutes are some 60 sessions of both, with two passes of a minimum of requests each.
    """
    truth = (
        exact(recordings, latency=10 / 1.4, luck=0.03)
        / 1.4
        / exact(recordings, latency=10, luck=0.03)
    )
    widths, held, searches = [], 0, 40
    for seed in range(searches):
        fast, slow = (
            of(
                searched(
                    recordings, latency=10, sessions=60, seed=seed, slower=slower, luck=0.03
                ),
                seed=seed,
                blocks=capacity.BLOCKS,
            )
            for slower in (1.0, 1.4)
        )  # fmt: skip
        interval = slow.over(fast).interval
        assert interval is not None
        widths.append(math.log(interval[1] / interval[0]) / 2)
        held += interval[0] <= truth <= interval[1]
    assert np.quantile(widths, 0.9) < 0.03
    assert held / searches >= 0.85


def test_a_slow_request_now_and_then_costs_capacity() -> None:
    """One in fifty that takes ten times as long, at the same mean: fewer requests are held."""
    even, uneven = (
        of(searched(law, latency=12, sessions=20, seed=1)) for law in (recordings, hiccups)
    )
    over = uneven.over(even)
    assert over.interval is not None
    assert over.interval[1] < 1


def test_no_rate_keeps_a_limit_that_serving_alone_breaks() -> None:
    """Where too many requests take too long though none waits, there is no capacity."""
    found = searched(recordings, latency=1.5, sessions=3, seed=1)
    assert found.late_alone > 1 - SLO
    assert found.capacity(seed=1) is None


def test_too_few_requests_tell_nothing() -> None:
    """A share of one in a hundred takes 300 requests."""
    found = searched(recordings, latency=10, sessions=2, seed=1)
    row, none = capacity.row_of("mine", found, None, [], seed=1)
    assert none is None
    assert row.why == "240 requests are too few to tell, 300 are enough; more --budget"


def test_what_came_late_is_held_against_the_replay() -> None:
    """The two agree where service times are independent, and not where slow ones come together."""

    def shares(laws: Callable[[bool], Law]) -> tuple[float, float]:
        requests, rng = Requests(10 * MEAN_S, SLO, 1), random.Random(1)
        for number in range(200):
            law = laws(rng.random() < 0.2)
            requests.sessions.append(
                measured(requests, law, rate_per_s=0.6 / MEAN_S, seed=str(number))
            )
        return requests.late_shares(seed=1)

    late, expected = shares(lambda _: exponential)
    assert late == pytest.approx(expected, rel=0.3)
    late, expected = shares(lambda slow: lambda _: 2.0 if slow else 0.75)
    assert late > 3 * expected


def answer_of(row: EngineCapacity, **changes: float) -> str:
    """Return the text of an answer of one engine."""
    found = CapacityAnswer(
        title="XVEC",
        setting=(32000, 1, 1),
        latency_ms=200,
        slo=0.99,
        engines=(row,),
        sessions=8,
        spent_s=60,
        seed=1,
        host="a host",
    )
    return markdown.draw(of_capacity(found.model_copy(update=changes)))


@pytest.mark.parametrize(("late", "told"), [(0.012, False), (0.05, True)])
def test_an_answer_that_the_measured_requests_belie_says_so(late: float, told: bool) -> None:
    """Where far more came late than was expected, the engine holds fewer than the rate."""
    text = answer_of(
        EngineCapacity(engine="mine", rate_per_s=10.0, requests=1000, late=late, late_expected=0.01)
    )
    assert "mine holds 10.0 requests/s" in text
    assert ("holds fewer than that" in text) == told


def steady_streams(mean_ms: float, *, luck: float, sessions: int, seed: int) -> Requests:
    """Return streams whose windows take nearly the same each, but for the luck of a session."""
    rng, rate_per_s = np.random.default_rng(seed), 10 / HOP_S
    load = Load(rate_per_s=rate_per_s, latency_ms=300, streams=10, window_s=1.5, hop_s=HOP_S)
    found = Requests(0.3, SLO, 1, load)
    for _ in range(sessions):
        mean_s = mean_ms / 1e3 * math.exp(luck * rng.standard_normal())
        took_s = mean_s * np.exp(0.03 * rng.standard_normal(200))
        found.sessions.append([Pass(rate_per_s, tuple(took_s.tolist()), 0)])
    return found


@pytest.mark.deep
@pytest.mark.parametrize(
    ("mean_ms", "luck", "sessions"), [(19.8, 0.02, 12), (19.5, 0.03, 30), (40.0, 0.03, 12)]
)
def test_whole_streams_are_no_surer_than_sessions(
    mean_ms: float, luck: float, sessions: int
) -> None:
    """One stream more is too many, and which number that is depends on the sessions' luck."""
    truth = of(steady_streams(mean_ms, luck=0.0, sessions=30, seed=0)).rate_per_s
    searches = 60
    held = 0
    for seed in range(searches):
        found = of(steady_streams(mean_ms, luck=luck, sessions=sessions, seed=seed), seed=seed)
        assert found.interval is not None
        held += found.interval[0] <= truth <= found.interval[1]
    assert held >= 0.9 * searches


def test_no_number_of_streams_is_sure_beyond_luck() -> None:
    """An interval has a width where sessions differ, and its middle is what all of them tell."""
    found = of(steady_streams(19.8, luck=0.02, sessions=12, seed=1))
    assert found.interval is not None
    assert found.rate_per_s * HOP_S == pytest.approx(37, rel=0.03)
    assert found.interval[1] / found.interval[0] > 1.02


@pytest.mark.parametrize(("budget_s", "told"), [(60, False), (20, True)])
def test_a_budget_that_was_exceeded_is_told(budget_s: float, told: bool) -> None:
    """Two sessions are measured in any case."""
    text = answer_of(EngineCapacity(engine="mine", rate_per_s=10.0), budget_s=budget_s)
    assert ("of --budget 20, because two sessions are measured in any case" in text) == told


def test_a_seed_is_any_number() -> None:
    """Those below 0, which numpy's own are not, among them."""
    found = searched(always, latency=3, sessions=2, seed=-1)
    assert found.late_shares(seed=-1)[0] < 1
