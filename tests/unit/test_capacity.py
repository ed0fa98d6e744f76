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
    law: Law, *, latency: float, sessions: int, seed: int, servers: int = 1, slower: float = 1.0
) -> Requests:
    """Return what a search measures, each session at the rate that the capacity seems to be.

    After so many sessions the rate stays, for it hardly moves.
    """
    found, rate_per_s = Requests(latency * MEAN_S, SLO, servers), 0.4 * servers / MEAN_S
    for number in range(sessions):
        found.sessions.append(
            measured(found, law, rate_per_s=rate_per_s, seed=f"{seed}/{number}", slower=slower)
        )
        if number < SEARCHING:
            rate_per_s = found.worth_trying(seed=seed)
    return found


def of(requests: Requests, *, seed: int = 1, draws: int = capacity.DRAWS) -> Capacity:
    """Return a capacity that there is."""
    found = requests.capacity(seed=seed, draws=draws)
    assert found is not None
    return found


@cache
def exact(law: Law, *, latency: float) -> float:
    """Return a capacity by halving rates over one long queue."""
    rng, count = random.Random(0), 1_000_000
    took_s = np.array([[law(rng) * MEAN_S for _ in range(count)]])
    gaps = np.random.default_rng(0).exponential(size=(1, count))
    low, high = 0.1 / MEAN_S, 1 / MEAN_S
    for _ in range(12):
        middle = math.sqrt(low * high)
        late = latencies_s(took_s, gaps / middle, servers=1) > latency * MEAN_S
        low, high = (middle, high) if late.mean() <= 1 - SLO else (low, middle)
    return low


@pytest.mark.parametrize("servers", [1, 2, 5])
@pytest.mark.parametrize("load", [0.3, 0.8, 1.2])
def test_a_replay_is_the_queue_that_is_measured(servers: int, load: float) -> None:
    """At any load and with any number of processes, it is what the recursion says."""
    rng = random.Random(f"{servers} {load}")
    service_ns = [int(rng.expovariate(1 / 1e7)) + 1 for _ in range(1000)]
    due_ns = arrivals_ns(Load(rate_per_s=load * servers / MEAN_S), 1000, seed="replay")
    gaps_s = np.diff([0, *due_ns])[np.newaxis] / 1e9
    (took_s,) = latencies_s(np.array([service_ns]) / 1e9, gaps_s, servers=servers)
    done_ns = by_recursion(due_ns, service_ns, servers)
    assert np.allclose(took_s, np.subtract(done_ns, due_ns) / 1e9, atol=1e-9)


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
def test_the_capacity_is_what_theory_says(servers: int) -> None:
    """M/M/1 and M/M/2, whose laws of the latency are known, from many sessions."""
    low, high = 0.01, 0.999
    for _ in range(30):
        middle = (low + high) / 2
        kept = late_in_theory(servers, middle, 10) <= 1 - SLO
        low, high = (middle, high) if kept else (low, middle)
    found = of(searched(exponential, latency=10, sessions=40, seed=3, servers=servers), draws=10)
    assert found.rate_per_s * MEAN_S / servers == pytest.approx(low, rel=0.06)


def test_the_replays_own_noise_is_told() -> None:
    """M/D/1: where all requests take the same time, sessions leave nothing open but it does."""
    truth = exact(always, latency=10)
    requests = searched(always, latency=10, sessions=3, seed=1)
    held = 0
    for seed in range(100):
        found = of(requests, seed=seed, draws=10)
        assert found.interval is not None
        held += found.interval[0] <= truth <= found.interval[1]
    assert 90 <= held <= 99


@pytest.mark.parametrize(
    ("searches", "least", "most"),
    [(24, 0.8, 1.0), pytest.param(300, 0.93, 0.97, marks=pytest.mark.deep)],
)
def test_intervals_hold(searches: int, least: float, most: float) -> None:
    """Of 300 searches, 93 to 97 % hold each engine's capacity, and 93 % or more the ratio.

    Two dozen tell whether far too few do. With a quarter of the draws, as here, their noise makes
    the ratio's interval wide.
    """
    truth = exact(recordings, latency=10), exact(recordings, latency=10 / 1.3) / 1.3
    held, widths = np.zeros(3), []
    for seed in range(searches):
        fast, slow = (
            of(
                searched(recordings, latency=10, sessions=8, seed=seed, slower=slower),
                seed=seed,
                draws=10,
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
    began_s = np.sort(rng.random((2000, streams)), axis=1) * HOP_S
    turns, stream = np.divmod(np.arange(80 * streams), streams)
    gaps_s = np.diff(began_s[:, stream] + turns * HOP_S, axis=1, prepend=0.0)
    service_s = np.array([law(draws) * mean_s for _ in range(gaps_s.size)]).reshape(gaps_s.shape)
    took_s = latencies_s(service_s, gaps_s, servers=1)[:, 40 * streams :]
    return float((took_s > latency_s).mean())


@pytest.mark.deep
@pytest.mark.parametrize(("mean_s", "latency", "streams"), [(0.03, 8, 22), (0.1, 3, 3)])
def test_intervals_of_live_streams_hold(mean_s: float, latency: float, streams: int) -> None:
    """Between two whole numbers of streams, the capacity is where one in a hundred would be late.

    In 88 % of 40 searches or more it lies in the interval, of many streams and of few.
    """
    below, above = (
        late_of_streams(recordings, each, mean_s=mean_s, latency_s=latency * mean_s)
        for each in (streams, streams + 1)
    )
    assert below < 1 - SLO < above
    truth = streams + (1 - SLO - below) / (above - below)
    held, load = 0, Load(rate_per_s=10 / HOP_S, streams=10, window_s=1.5, hop_s=HOP_S)
    for seed in range(40):
        found, rate_per_s = Requests(latency * mean_s, SLO, 1, load), 0.4 / mean_s
        for number in range(6):
            passes = [
                windows(
                    found, recordings, rate_per_s=rate_per_s, mean_s=mean_s,
                    seed=f"{seed}/{number}/{each}",
                )
                for each in range(2)
            ]  # fmt: skip
            found.sessions.append(passes)
            rate_per_s = found.worth_trying(seed=seed)
        interval = of(found, seed=seed, draws=10).interval
        assert interval is not None
        held += interval[0] * HOP_S <= truth <= interval[1] * HOP_S
    assert held >= 35


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


@pytest.mark.parametrize(("late", "told"), [(0.012, False), (0.05, True)])
def test_an_answer_that_the_measured_requests_belie_says_so(late: float, told: bool) -> None:
    """Where far more came late than was expected, the engine holds fewer than the rate."""
    row = EngineCapacity(
        engine="mine", rate_per_s=10.0, requests=1000, late=late, late_expected=0.01
    )
    answer = CapacityAnswer(
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
    text = markdown.draw(of_capacity(answer))
    assert "mine holds 10.0 requests/s" in text
    assert ("holds fewer than that" in text) == told


def test_a_seed_is_any_number() -> None:
    """Those below 0, which numpy's own are not, among them."""
    found = searched(always, latency=3, sessions=2, seed=-1)
    assert found.late_shares(seed=-1)[0] < 1
