"""Figures of queues on trial: requests that arrive at servers whose service times are drawn."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from rtfbench.base.values import Interval
from rtfbench.measure.open_loop import REQUESTS, before_a_pass
from rtfbench.measure.queueing import (
    Imagined,
    WaitingLine,
    arrivals_ns,
    own_of,
    serve,
    with_those_before,
)
from rtfbench.results.capacity import latencies_s
from rtfbench.results.load import Load
from rtfbench.results.records import Record
from rtfbench.results.server import SERVER
from tests.validation.trial import Tried

#: Serving a request takes so long on average.
MEAN_S = 0.01
SESSIONS, BLOCKS, PASSES = 6, 2, 2
FIGURES = ("latency_ms_p50", "latency_ms_p99", "waiting_ms", "service_ms")
Law = Callable[[random.Random], float]


def exponential(rng: random.Random) -> float:
    """Return a time of which the mean is 1."""
    return rng.expovariate(1)


def always(_: random.Random) -> float:
    """Return the same time."""
    return 1.0


def recordings(rng: random.Random) -> float:
    """Return how long one of many recordings of different length takes; the mean is 1."""
    return rng.uniform(0.3, 1.7)


def heavy(rng: random.Random) -> float:
    """Return a time with a heavy tail, log-normal; the mean is 1."""
    return rng.lognormvariate(-0.5, 1.0)


def together(times: Iterable[int]) -> int:
    """Return how long a batch takes: as long as its longest, and a quarter more for each other."""
    some = list(times)
    return round(max(some) * (1 + 0.25 * (len(some) - 1)))


@dataclass(frozen=True)
class Queue:
    """A queue whose figures are known."""

    name: str
    law: Law
    load: float
    servers: int = 1
    shape: float = 1.0
    batch: int = 1
    #: Whether a few sessions tell the truth as often as intervals say.
    promised: bool = True

    @property
    def arriving(self) -> Load:
        """How requests arrive."""
        rate_per_s = self.load * self.servers / MEAN_S
        return Load(rate_per_s=rate_per_s, gamma_shape=self.shape)

    @property
    def line(self) -> WaitingLine:
        """How they wait."""
        return WaitingLine(self.servers, batch=self.batch)


QUEUES = (
    Queue("M/M/1 at 0.5", exponential, 0.5),
    Queue("M/D/1 at 0.7", always, 0.7),
    Queue("M/D/2 at 0.7", always, 0.7, servers=2),
    Queue("recordings, bursts (gamma 0.5), at 0.5", recordings, 0.5, shape=0.5),
    Queue("batches of 4 at 1.2", always, 1.2, batch=4),
    Queue("heavy tail (log-normal), at 0.5", heavy, 0.5, promised=False),
)


def passed(queue: Queue, rng: random.Random, *, session: int, seed: str) -> Record:
    """Return the record of a pass, as a team of processes makes it, by a scripted clock."""
    load, line = queue.arriving, queue.line
    before = before_a_pass(line.batch)
    due_ns = arrivals_ns(load, before + REQUESTS, seed=seed)
    usual_ns = [round(MEAN_S * 1e9)] * before
    kept, due_ns = with_those_before(due_ns, usual_ns, line)
    service_ns = [int(queue.law(rng) * MEAN_S * 1e9) + 1 for _ in kept]
    counter = Imagined(service_ns, together)
    found = serve(due_ns, counter, line)
    busy = {(each.began_ns, each.done_ns) for each in found.served}
    busy_ns = sum(done - began for began, done in busy) // queue.servers
    first, wall_ns = len(kept) - REQUESTS, counter.now_ns()
    told = own_of(found, first=first, wall_ns=wall_ns, busy_ns=busy_ns, load=load)
    return Record.model_construct(None, session=session, processing_ns=busy_ns, **told)


def run(queue: Queue, seed: str, *, sessions: int = SESSIONS) -> list[Record]:
    """Return the records of a run."""
    rng = random.Random(seed)
    return [
        passed(queue, rng, session=session, seed=f"{seed}/{session}/{number}")
        for session in range(sessions)
        for number in range(BLOCKS * PASSES)
    ]


@cache
def truths(queue: Queue) -> dict[str, float]:
    """Return what a run would tell that never ends, in milliseconds."""
    if queue.name.startswith("M/M/1"):
        # Gross and Harris, Fundamentals of Queueing Theory, section 2.2.
        spare = (1 - queue.load) / (MEAN_S * 1e3)
        quantiles = {share: -math.log(1 - share) / spare for share in (0.5, 0.99)}
        return _named(quantiles[0.5], quantiles[0.99], queue.load / spare, MEAN_S * 1e3)
    rng = random.Random("truth")
    shape = (400_000, 1) if queue.batch > 1 else (4000, 800)
    service_s = np.array([queue.law(rng) * MEAN_S for _ in range(math.prod(shape))]).reshape(shape)
    mean_s = 1 / queue.arriving.rate_per_s
    gaps_s = np.random.default_rng(1).gamma(queue.shape, mean_s / queue.shape, shape)
    if queue.batch > 1:
        took_s, served_s = _in_batches(gaps_s.cumsum(), queue.batch)
    else:
        # The first half is until the queue has filled.
        half, due_s = shape[0] // 2, gaps_s.cumsum(axis=0)
        took_s = latencies_s(service_s, due_s, servers=queue.servers)[half:]
        served_s = service_s[half:]
    waits = 1e3 * float((took_s - served_s).mean())
    low, high = (1e3 * float(np.quantile(took_s, share)) for share in (0.5, 0.99))
    return _named(low, high, waits, 1e3 * float(served_s.mean()))


def _named(p50: float, p99: float, waiting: float, service: float) -> dict[str, float]:
    return dict(zip(FIGURES, (p50, p99, waiting, service), strict=True))


def _in_batches(
    due_s: np.ndarray[tuple[int], np.dtype[np.float64]], most: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Return what requests take, and how long they are served, by one server in batches."""
    took_s, served_s = np.empty_like(due_s), np.empty_like(due_s)
    free_s, at = 0.0, 0
    while at < len(due_s):
        begin_s = max(free_s, float(due_s[at]))
        end = at + 1
        while end < len(due_s) and end < at + most and due_s[end] <= begin_s:
            end += 1
        service_s = MEAN_S * (1 + 0.25 * (end - at - 1))
        free_s = begin_s + service_s
        took_s[at:end] = free_s - due_s[at:end]
        served_s[at:end] = service_s
        at = end
    return took_s, served_s


def try_queues(trials: int, seed: int) -> list[Tried]:
    """Latencies, waits and service times of queues whose figures are known."""
    figures = {each.name: each for each in SERVER.figures}
    rows = []
    for queue in QUEUES:
        true = truths(queue)
        held, asked = dict.fromkeys(FIGURES, 0), dict.fromkeys(FIGURES, 0)
        widths: dict[str, list[float]] = {name: [] for name in FIGURES}
        for number in range(trials):
            records = run(queue, f"{seed}/{number}")
            for name in FIGURES:
                of_interval = figures[name].interval
                assert of_interval is not None
                found: Interval | None = of_interval(records)
                if found is None:
                    continue
                held[name] += found[0] - 1e-4 <= true[name] <= found[1] + 1e-4
                asked[name] += 1
                if math.isfinite(found[1]):
                    widths[name].append((found[1] - found[0]) / 2 / true[name])
        for name in FIGURES:
            nominal = "95 % hold the truth" if queue.promised else "not promised"
            rows.append(
                Tried(
                    name,
                    f"{queue.name}, {SESSIONS} sessions",
                    nominal,
                    asked[name],
                    held[name],
                    (0.92, 1.0 if name == "service_ms" else 0.98) if queue.promised else (0.0, 1.0),
                    half_width=float(np.median(widths[name])) if widths[name] else None,
                )
            )
    return rows
