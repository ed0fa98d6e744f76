"""Queues with known answers, run through the very loop that measures."""

import heapq
import itertools
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.measure import open_loop
from rtfbench.measure.messages import Measure, WorkerSpec
from rtfbench.measure.open_loop import Arriving, Service
from rtfbench.measure.queueing import (
    Imagined,
    Passed,
    Served,
    WaitingLine,
    arrivals_ns,
    own_of,
    serve,
    with_those_before,
)
from rtfbench.results.lines import Outcome
from rtfbench.results.load import Load, Traffic
from rtfbench.results.records import Record
from rtfbench.results.server import (
    BUSY,
    DUE,
    LATE,
    LIMIT,
    MOST_LATE,
    REJECTED,
    SERVER,
    WAITING,
    WALL,
    invalid,
)
from tests.unit.test_store import CELL
from tests.validation.tried_queues import QUEUES, run, truths

MS = 1_000_000


def by_recursion(due_ns: Sequence[int], service_ns: Sequence[int], servers: int) -> list[int]:
    """Return when each request is done: it begins when it is due and the first process is free.

    Source: Kiefer and Wolfowitz, On the Theory of Queues With Many Servers, 1955 (for one server,
    Lindley, 1952).
    """
    free_ns = [0] * servers
    done = []
    for due, service in zip(due_ns, service_ns, strict=True):
        done.append(max(due, heapq.heappop(free_ns)) + service)
        heapq.heappush(free_ns, done[-1])
    return done


def served(due_ns: Sequence[int], service_ns: Sequence[int], servers: int = 1) -> list[Served]:
    """Return the requests in the order of their arrival."""
    found = serve(due_ns, Imagined(service_ns), WaitingLine(servers)).served
    return sorted(found, key=lambda each: each.request)


@pytest.mark.parametrize("servers", [1, 2, 5])
@pytest.mark.parametrize("load", [0.3, 0.8, 1.2])
@pytest.mark.parametrize("law", ["fixed", "exponential", "rare and long"])
def test_every_request_is_served_as_the_recursion_says(servers: int, load: float, law: str) -> None:
    """At any load, with any service times and any number of processes, to the nanosecond."""
    rng = random.Random(f"{servers} {load} {law}")
    service_ns = [
        {
            "fixed": 10 * MS,
            "exponential": int(rng.expovariate(1 / (10 * MS))) + 1,
            "rare and long": (55 if rng.random() < 0.1 else 5) * MS,
        }[law]
        for _ in range(2000)
    ]
    due_ns = arrivals_ns(Load(rate_per_s=load * servers / 0.01), 2000, seed=law)
    found = served(due_ns, service_ns, servers)
    assert [each.done_ns for each in found] == by_recursion(due_ns, service_ns, servers)
    assert all(each.seen_ns >= each.due_ns for each in found)


@pytest.mark.parametrize(
    ("load", "law", "mean_wait"),
    [
        (0.5, "exponential", 1.0),
        (0.7, "exponential", 7 / 3),
        (0.5, "fixed", 0.5),
        (0.7, "fixed", 7 / 6),
    ],
)
def test_waiting_is_what_theory_says(load: float, law: str, mean_wait: float) -> None:
    """The mean wait of M/M/1 and M/D/1, in service times: Pollaczek and Khinchine's formula."""
    rng = random.Random(law)
    count = 60_000
    service_ns = [MS if law == "fixed" else int(rng.expovariate(1 / MS)) for _ in range(count)]
    due_ns = arrivals_ns(Load(rate_per_s=load * 1000), count, seed="theory")
    waits = [each.began_ns - each.due_ns for each in served(due_ns, service_ns)]
    assert sum(waits) / count / MS == pytest.approx(mean_wait, rel=0.1)


def test_a_slow_answer_does_not_thin_out_the_load() -> None:
    """One request that takes long delays those behind it, and their latencies say so.

    A loop that sends the next request when the last is answered would see one slow answer.
    """
    due_ns = [index * 10 * MS for index in range(100)]
    service_ns = [1000 * MS if index == 10 else 5 * MS for index in range(100)]
    latencies = [each.done_ns - each.due_ns for each in served(due_ns, service_ns)]
    assert sum(ns > 100 * MS for ns in latencies) > 80


def test_latencies_that_leave_waiting_out_are_caught() -> None:
    """Counted from when a process begins, as where a loop waits for answers, none is right.

    Counted from when they were due, as they are, they are.
    """
    figures = {each.name: each for each in SERVER.figures}
    of_interval = figures["latency_ms_p99"].interval
    assert of_interval is not None
    queue = next(each for each in QUEUES if each.name.startswith("M/D/1"))
    true, held = truths(queue)["latency_ms_p99"], 0
    for number in range(5):
        records = run(queue, f"omission/{number}")
        omitting = [
            each.model_copy(
                update={
                    "utterance_ns": tuple(
                        took - waited
                        for took, waited in zip(each.utterance_ns, each.own[WAITING], strict=True)
                    )
                }
            )
            for each in records
        ]
        low, high = of_interval(omitting) or (0.0, math.inf)
        assert not low <= true <= high
        low, high = of_interval(records) or (math.inf, 0.0)
        held += low <= true <= high
    assert held >= 4


def test_a_rare_slow_answer_moves_the_tail_alone() -> None:
    """One in fifty that takes ten times as long: p99 is several times as long, p50 hardly moves."""

    def quantiles(every: int) -> list[float | None]:
        service_ns = [(100 if every and each % every == 0 else 10) * MS for each in range(3000)]
        due_ns = arrivals_ns(Load(rate_per_s=10), 3000, seed="slow")
        passed = serve(due_ns, Imagined(service_ns), WaitingLine(1))
        told = own_of(passed, first=0, wall_ns=1, busy_ns=1, load=Load(rate_per_s=10))
        record = Record.model_construct(None, session=0, processing_ns=1, **told)
        figures = {each.name: each for each in SERVER.figures}
        return [figures[name].of([record], 1.0) for name in ("latency_ms_p50", "latency_ms_p99")]

    (p50, p99), (slow_p50, slow_p99) = quantiles(0), quantiles(50)
    assert p50 is not None
    assert p99 is not None
    assert slow_p50 == pytest.approx(p50, rel=0.02)
    assert slow_p99 is not None
    assert slow_p99 > 3 * p99


def test_what_waits_goes_together() -> None:
    """A process that becomes free takes a batch of what waits, and waits for none to fill."""
    counter = Imagined([10 * MS] * 9, max)
    due_ns = [0, *(MS,) * 8]
    found = serve(due_ns, counter, WaitingLine(1, batch=4)).served
    assert counter.batches == [1, 4, 4]
    assert max(each.done_ns for each in found) == 30 * MS
    assert WaitingLine(1, chunks=[3, 3, 1, 9], batch=4).take([0, 1, 2]) == (1, True)
    assert WaitingLine(1, chunks=[3, 3, 1, 9], batch=4).take([3]) == (1, True)
    assert WaitingLine(1, chunks=[3, 3, 1, 9], batch=4).take([0, 2]) == (2, True)


def test_a_batch_is_filled_for_so_long() -> None:
    """A process that is free waits for a batch until the first of it has waited that long."""
    counter = Imagined([10 * MS] * 6, max)
    due_ns = [0, 2 * MS, 4 * MS, 50 * MS, 51 * MS, 90 * MS]
    found = serve(due_ns, counter, WaitingLine(1, batch=3, delay_ns=20 * MS)).served
    assert counter.batches == [3, 2, 1]
    assert [each.began_ns // MS for each in found] == [4, 4, 4, 70, 70, 110]


@pytest.mark.parametrize(("places", "rejected"), [(0, [1, 2, 3]), (1, [2, 3]), (None, [])])
def test_who_finds_no_place_is_rejected(places: int | None, rejected: list[int]) -> None:
    """A request that comes while as many wait as may is turned away, and counted."""
    due_ns = [0, MS, 2 * MS, 3 * MS, 80 * MS]
    passed = serve(due_ns, Imagined([10 * MS] * 5), WaitingLine(1, places=places))
    assert passed.rejected == rejected
    load = Load(rate_per_s=1, latency_ms=12)
    told = own_of(passed, first=0, wall_ns=90 * MS, busy_ns=50 * MS, load=load)
    record = Record.model_construct(None, session=0, processing_ns=50 * MS, **told)
    figures = {each.name: each for each in SERVER.figures}
    late = sum(ns > 12 * MS for ns in record.utterance_ns) + len(rejected)
    assert figures["late_share"].of([record], 1.0) == pytest.approx(late / 5)
    assert figures["rejected_share"].of([record], 1.0) == (len(rejected) / 5 or None)
    assert figures["goodput_per_s"].of([record], 1.0) == pytest.approx((5 - late) / 0.09)


def test_arrivals_are_those_of_their_seed() -> None:
    """The same for every cell of a comparison; their mean rate is the one that was asked for."""
    load = Load(rate_per_s=50)
    found = arrivals_ns(load, 20_000, seed="a")
    assert found == arrivals_ns(load, 20_000, seed="a") == sorted(found)
    assert found != arrivals_ns(load, 20_000, seed="b")
    assert found[-1] / 1e9 == pytest.approx(400, rel=0.03)


@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_gaps_are_as_uneven_as_their_shape_says(shape: float) -> None:
    """Their standard deviation is their mean over the root of the shape: 1 is a Poisson process."""
    found = arrivals_ns(Load(rate_per_s=50, gamma_shape=shape), 20_000, seed="a")
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(1e9 / 50, rel=0.05)
    assert spread == pytest.approx(mean / math.sqrt(shape), rel=0.05)


def test_live_streams_are_as_regular_as_clocks() -> None:
    """Each asks every hop, and all of them once in a round, from times that are drawn."""
    found = arrivals_ns(Load(rate_per_s=5 / 0.75, streams=5, hop_s=0.75), 20, seed="a")
    assert found == sorted(found)
    assert found[4] < 750 * MS
    assert all(
        found[each + 5] - found[each] == pytest.approx(750 * MS, abs=2) for each in range(15)
    )


def test_a_trace_is_replayed_from_any_place(tmp_path: Path) -> None:
    """Its gaps come in their order, and over again; another rate stretches all of them alike."""
    path = tmp_path / "calls.txt"
    path.write_text("# seconds\n100\n100.5\n\n102.5 # late\n103\n")
    (own,) = Traffic(trace=path).at_rates()
    assert own.rate_per_s == 1.0
    assert str(own) == "1 requests/s, as in calls.txt"
    gaps = [0.5, 2.0, 0.5]
    found = [second / 1e9 for second in arrivals_ns(own, 6, seed="a")]
    first = [later - earlier for earlier, later in itertools.pairwise([0.0, *found])]
    assert any(
        first == pytest.approx([gaps[(begin + each) % 3] for each in range(6)])
        for begin in range(3)
    )
    (faster,) = Traffic(trace=path, rates=(4.0,)).at_rates()
    assert arrivals_ns(faster, 6, seed="a")[-1] / 1e9 == pytest.approx(found[-1] / 4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"1\n2\nthree\n", "calls.txt:3: 'three' is no second"),
        (b"2\n1\n", "calls.txt:2: '1' is no second that follows"),
        (b"1\ninf\n", "calls.txt:2"),
        (b"1\n", "has 1 requests; a trace has two at least"),
        (b"0\n1e-320\n", "has 2 requests; a trace has two at least, within a year, and"),
        (b"0\n1e308\n", "has 2 requests; a trace has two at least, within a year, and"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_trace_that_is_none_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    """One line that names the file, its line and the cure."""
    path = tmp_path / "calls.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        Traffic(trace=path).at_rates()
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pass_begins_as_if_it_had_gone_on_for_long() -> None:
    """Requests of before that would still wait are in it; none where nothing waits."""
    due_ns = [each * 10 * MS for each in range(1, 21)]
    kept, due = with_those_before(due_ns, [MS] * 10, WaitingLine(1))
    assert kept == list(range(9, 20))
    assert due == [each * 10 * MS for each in range(11)]
    kept, due = with_those_before(due_ns, [25 * MS] * 10, WaitingLine(1))
    # The fourth began at 85 ms, and is at work when the last one is due.
    assert kept[0] == 3
    assert due[0] == (40 - 85) * MS
    assert due[-1] == (200 - 85) * MS
    # Of two processes, one was at work on the first request when the other began with the second.
    kept, _ = with_those_before([0, 2 * MS, 11 * MS, 40 * MS], [10 * MS] * 3, WaitingLine(2))
    assert kept == [0, 1, 2, 3]
    kept, _ = with_those_before([0, 8 * MS, 11 * MS, 40 * MS], [10 * MS] * 3, WaitingLine(2))
    assert kept == [1, 2, 3]
    # However many more arrive than are served.
    assert len(with_those_before([*range(300)], [MS] * 200, WaitingLine(1))[0]) == 160
    # What several take together is known of no request alone: in batches, all are served.
    assert with_those_before(due_ns, [25 * MS] * 10, WaitingLine(1, batch=4))[0] == [*range(20)]


def test_the_passes_of_a_block_have_arrivals_of_their_own() -> None:
    """One that is run again, because something disturbed it, has those that it had."""
    service = Service.__new__(Service)
    orders = [(0, 1), (0, 2), (0, 2), (0, 1), (1, 0), (1, 3)]
    found = [
        service._pass(Measure(block=block, position=position, utterances=("a",)))
        for block, position in orders
    ]
    assert found == [0, 1, 1, 0, 0, 1]


def test_a_pass_that_serves_nothing_ends_its_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each request that counts finds all places taken, the row says what to do."""
    service = Service.__new__(Service)
    load = Load(rate_per_s=1e6, places=0)
    cell = CELL.model_copy(update={"protocol": "server", "load": load})
    service._spec = WorkerSpec.model_construct(cell_id="c", cell=cell, session=0)
    service._chunks, service.clock = {"a": 1}, time.perf_counter_ns
    monkeypatch.setattr(Service, "arriving", lambda *_: Arriving([0, 0], ("a", "a"), 0))
    monkeypatch.setattr(open_loop, "serve", lambda *_: Passed([], [0, 1]))
    ended = service._turn(Measure(block=0, position=0, utterances=("a", "a")), 1.0)
    assert isinstance(ended, Outcome)
    assert (ended.status, "raise --places" in ended.reason) == ("failed", True)


def test_figures_are_of_the_requests() -> None:
    """Percentiles count from when a request was due; a tail is shown where enough requests tell."""
    record = Record.model_construct(
        session=0,
        utterance_ns=tuple(index * MS for index in range(1, 101)),
        own={
            DUE: (0, 900 * MS),
            WAITING: (MS,) * 100,
            LATE: (10_000,) * 100,
            WALL: (1000 * MS,),
            BUSY: (600 * MS,),
            REJECTED: (),
            LIMIT: (90 * MS,),
        },
    )
    told = {each.name: each.of([record], 1.0) for each in SERVER.figures}
    assert told["latency_ms_p50"] == pytest.approx(50.5)
    assert told["latency_ms_p90"] == pytest.approx(90.1)
    assert told["latency_ms_p95"] == pytest.approx(95.05)
    assert told["latency_ms_p99"] is None
    assert told["utilisation"] == 0.6
    assert told["waiting_ms"] == 1.0
    assert told["service_ms"] == pytest.approx(49.5)
    assert told["kept_up"] == 0.9
    assert told["late_share"] == pytest.approx(0.1)
    assert told["goodput_per_s"] == pytest.approx(90)


@pytest.mark.parametrize(("late_ns", "told"), [(90_000, False), (110_000, True)])
def test_a_harness_that_is_late_makes_a_run_invalid(late_ns: int, told: bool) -> None:
    """Over a hundredth of what serving a request takes, the figures are its own."""
    record = Record.model_construct(
        utterance_ns=(10 * MS,) * 9, own={WAITING: (0,) * 9, LATE: (late_ns,) * 9}
    )
    assert MOST_LATE == 0.01
    assert bool(invalid([record])) == told
