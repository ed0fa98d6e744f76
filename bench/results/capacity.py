"""The highest rate of requests that keeps a latency, from how long measured requests took (pure).

How many requests of a pass come late is mostly luck: its arrivals are one draw, and near the
capacity lateness comes in a few busy spells. What was measured of an engine is how long it took to
serve each request. So the service times of all passes are run through the same queue again, under
many draws of arrivals, and the share of late requests is known at any rate. That holds as far as a
service time depends neither on how many wait nor on the one before it. So they are measured near
the capacity, and `late_shares` holds what came late against what the replay expects.

A replay starts warm: its first half, in which the queue fills, does not count.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from rtfbench.base.values import Interval, Value
from rtfbench.results.load import POISSON, Load, Trace
from rtfbench.results.records import Record
from rtfbench.results.server import WAITING, lateness
from rtfbench.results.stats import LEAST_ABOVE, Floats, student_factor

NS_PER_S = 1e9
#: A draw of arrivals has so many requests that count, and as many before them.
REPLAYED = 2000
#: A replay has so many draws while the capacity is looked for, and for the answer; of those, there
#: are so many, and how they scatter is their error.
DRAWS_ROUGHLY, DRAWS, REPLAYS = 5, 40, 8
#: Rates are halved so often, from what saturates the processes down to this share of it.
HALVINGS, LEAST_LOAD = 10, 1e-3
#: How the share of late requests grows with the rate is read off so far to either side.
STEP = 0.04
#: Of no late requests there is no logarithm.
TINY = 1e-6
#: A capacity takes so many sessions to have an interval.
LEAST_SESSIONS = 3
#: Where no rate keeps the latency, processes are measured this busy.
FIRST_LOAD = 0.5


class Pass(NamedTuple):
    """How long each request of a pass took to serve, as they arrived, and how many came late."""

    rate_per_s: float
    service_s: tuple[float, ...]
    late: int


def pass_of(record: Record, *, rate_per_s: float, latency_s: float) -> Pass:
    """Return what a record of the server protocol tells."""
    requests = zip(record.utterance_ns, record.own[WAITING], strict=True)
    return Pass(
        rate_per_s,
        tuple((took_ns - wait_ns) / NS_PER_S for took_ns, wait_ns in requests),
        sum(took_ns > latency_s * NS_PER_S for took_ns in record.utterance_ns),
    )


def latencies_s(service_s: Floats, gaps_s: Floats, *, servers: int) -> Floats:
    """Return what requests take from when they are due: first come, first served.

    Args:
        service_s: of each request, [draws, requests].
        gaps_s: before each request, [draws, requests].
        servers: how many processes there are.

    Source: Lindley, The Theory of Queues With a Single Server, 1952; for several, Kiefer and
    Wolfowitz, On the Theory of Queues With Many Servers, 1955.
    """
    if servers == 1:
        moved = -gaps_s
        moved[:, 1:] += service_s[:, :-1]
        moved.cumsum(axis=1, out=moved)
        moved -= np.minimum.accumulate(moved, axis=1)
        moved += service_s
        return moved
    due_s = np.ascontiguousarray(gaps_s.cumsum(axis=1).T)
    done_s = np.empty_like(due_s)
    #: When each process is free, in each draw, the first one first.
    free_s, later_s = np.zeros((servers, len(gaps_s))), np.empty(len(gaps_s))
    for due, took, done in zip(due_s, np.ascontiguousarray(service_s.T), done_s, strict=True):
        first = free_s[0]
        np.maximum(first, due, out=first)
        np.add(first, took, out=first)
        done[:] = first
        for one, next_one in itertools.pairwise(free_s):
            np.maximum(one, next_one, out=later_s)
            np.minimum(one, next_one, out=one)
            next_one[:] = later_s
    return np.asarray((done_s - due_s).T, np.float64)


@dataclass(frozen=True)
class Capacity:
    """A capacity, by its logarithm.

    `by_session` has a jackknife pseudo-value for each session: how they scatter is what sessions
    leave open. `by_replay` has what each replay finds: how they scatter is their own error.
    """

    by_session: Floats
    by_replay: Floats

    @property
    def rate_per_s(self) -> float:
        """The highest rate that keeps the latency; or how many times another's it is."""
        return math.exp(self.by_session.mean())

    @property
    def interval(self) -> Interval | None:
        """Where it lies, of 95 %; None of too few sessions."""
        if len(self.by_session) < LEAST_SESSIONS:
            return None
        half = math.hypot(_half_width(self.by_session), self.replay_half_width)
        return self.rate_per_s * math.exp(-half), self.rate_per_s * math.exp(half)

    @property
    def replay_half_width(self) -> float:
        """How far its logarithm may be off because there were no more replays, of 95 %."""
        return _half_width(self.by_replay)

    def over(self, other: "Capacity") -> "Capacity":
        """Return how many times another's it is: sessions and replays were common to both."""
        return Capacity(self.by_session - other.by_session, self.by_replay - other.by_replay)


def _half_width(values: Floats) -> float:
    return student_factor(len(values)) * float(values.std(ddof=1))


@dataclass
class Requests:
    """All requests that a cell served, session by session, and the queue that they went through."""

    latency_s: float
    slo: float
    servers: int
    #: How requests arrive, whatever their rate.
    load: Load = POISSON
    sessions: list[list[Pass]] = field(default_factory=list)

    @property
    def passes(self) -> list[Pass]:
        """All passes."""
        return [each for session in self.sessions for each in session]

    @property
    def count(self) -> int:
        """How many requests there were."""
        return sum(len(each.service_s) for each in self.passes)

    @property
    def service_s(self) -> float:
        """How long serving a request takes on average."""
        return sum(sum(each.service_s) for each in self.passes) / self.count

    @property
    def tells(self) -> bool:
        """Whether there are enough requests for some to be late at the capacity."""
        return self.count * (1 - self.slo) >= LEAST_ABOVE - 1e-9

    @property
    def late_alone(self) -> float:
        """The share of requests that take too long though nothing waits."""
        took = [each for some in self.passes for each in some.service_s]
        return sum(each > self.latency_s for each in took) / self.count

    def capacity(self, *, seed: int, draws: int = DRAWS) -> Capacity | None:
        """Return the capacity; None where no rate keeps the latency.

        The seed of the replays is the same for cells that are compared.
        """
        if self.late_alone >= 1 - self.slo:
            return None
        found = _QueueAgain(self, [(seed, each) for each in range(REPLAYS)], draws).by_session()
        return Capacity(np.mean(found, axis=0), np.mean(found, axis=1))

    def late_shares(self, *, seed: int) -> tuple[float, float]:
        """Return which share of the requests came late, and which the replay expects.

        Both are at the rates at which the passes were.
        """
        late = sum(each.late for each in self.passes) / self.count
        return late, _QueueAgain(self, [(seed,)], DRAWS).expected()

    def worth_trying(self, *, seed: int) -> float:
        """Return the rate to measure at next: what the capacity seems to be."""
        found = FIRST_LOAD * self.servers / self.service_s
        if self.late_alone < 1 - self.slo:
            found = float(_QueueAgain(self, [(seed,)], DRAWS_ROUGHLY).roughly()[0])
        # Two digits, so that sessions of about the same rate are of one condition.
        return float(f"{found:.2g}")


class ArrivalsAgain:
    """Many draws of how requests arrive under a load; rates stretch them."""

    def __init__(self, load: Load, rng: np.random.Generator, shape: tuple[int, int]) -> None:
        """Draw; `shape` is how many draws, and requests in each. The load's rate is not used."""
        self._load, self._shape = load, shape
        self._seed = int(rng.integers(2**32))
        self._gaps = None if load.streams else self._drawn(rng)

    def _drawn(self, rng: np.random.Generator) -> Floats:
        """Return gaps at one request a second."""
        draws, count = self._shape
        if self._load.trace is None:
            shape = self._load.gamma_shape
            return np.asarray(rng.gamma(shape, 1 / shape, (draws, count)), np.float64)
        found = Trace.read(self._load.trace)
        gaps = np.array(found.gaps_s) * found.rate_per_s
        first = rng.integers(len(gaps), size=(draws, 1))
        return np.asarray(gaps[(first + np.arange(count)) % len(gaps)], np.float64)

    def at(self, rate_per_s: float, draws: int, count: int) -> Iterator[tuple[float, Floats]]:
        """Yield gaps in seconds, [draws, count], with their weights.

        Of a number of streams that is none there are those of the next ones below and above.
        """
        if self._gaps is not None:
            yield 1.0, self._gaps[:draws, :count] / rate_per_s
            return
        streams = max(rate_per_s * self._load.hop_s, 1.0)
        below = int(streams)
        for number, weight in ((below, 1 - (streams - below)), (below + 1, streams - below)):
            if weight > 0:
                yield weight, self._of_streams(number, draws, count)

    def _of_streams(self, number: int, draws: int, count: int) -> Floats:
        # A row of its own for each draw, so that one stream more leaves the others as they are.
        began = np.stack(
            [
                np.sort(np.random.default_rng((self._seed, draw)).random(number))
                for draw in range(draws)
            ]
        )
        turns, stream = np.divmod(np.arange(count), number)
        due_s = (began[:, stream] + turns) * self._load.hop_s
        return np.diff(due_s, axis=1, prepend=0.0)


class _QueueAgain:
    """The requests of a cell in other orders, under other arrivals: some replays side by side.

    Replays are independent. They run at once, because what takes long is to go through requests one
    by one, and not how many queues do.
    """

    def __init__(self, requests: Requests, seeds: Sequence[tuple[int, ...]], draws: int) -> None:
        self._asked, self._miss = requests, 1 - requests.slo
        self._arrivals: list[ArrivalsAgain] = []
        ranks = []
        #: Arrivals, and which of the service times, as a rank from 0 to 1: the same for every cell,
        #: and for a cell without one of its sessions.
        for seed in seeds:
            # A seed is any number, and numpy's is none below 0.
            rng = np.random.default_rng([each % 2**64 for each in seed])
            self._arrivals.append(ArrivalsAgain(requests.load, rng, (draws, 2 * REPLAYED)))
            ranks.append(rng.random(size=(draws, 2 * REPLAYED)))
        self._ranks = np.stack(ranks)
        self._by_session = [
            np.concatenate([np.asarray(each.service_s) for each in session])
            for session in requests.sessions
        ]
        self._all = self._drawn(self._by_session)

    def _drawn(self, by_session: Sequence[Floats]) -> Floats:
        """Return service times drawn from these sessions, [replays, draws, requests]."""
        known = np.sort(np.concatenate(by_session))
        return np.asarray(known[(self._ranks * len(known)).astype(np.intp)], np.float64)

    def _late(self, rates_per_s: Floats, drawn_s: Floats) -> Floats:
        """Return which share of the requests come late, replay by replay, each at its rate."""
        draws, count = drawn_s.shape[1:]
        some = [
            (number, weight, gaps_s)
            for number, (arrivals, rate) in enumerate(zip(self._arrivals, rates_per_s, strict=True))
            for weight, gaps_s in arrivals.at(float(rate), draws, count)
        ]
        numbers, weights, gaps = zip(*some, strict=True)
        service_s = drawn_s[list(numbers)].reshape(-1, count)
        took_s = latencies_s(service_s, np.concatenate(gaps), servers=self._asked.servers)
        late = (took_s[:, REPLAYED:] > self._asked.latency_s).mean(axis=1).reshape(-1, draws)
        each = late.mean(axis=1) * weights
        return np.asarray(np.bincount(numbers, each, len(rates_per_s)), np.float64)

    def roughly(self) -> Floats:
        """Return each replay's capacity by halving the rates that it lies between, of few draws."""
        high = np.full(len(self._arrivals), self._asked.servers / self._asked.service_s)
        low = high * LEAST_LOAD
        for _ in range(HALVINGS):
            middle = np.sqrt(low * high)
            kept = self._late(middle, self._all[:, :DRAWS_ROUGHLY]) <= self._miss
            low, high = np.where(kept, middle, low), np.where(kept, high, middle)
        return low

    def by_session(self) -> Floats:
        """Return the jackknife's pseudo-values of log capacities, [replays, sessions]."""
        sessions = self._by_session
        without = [sessions[:each] + sessions[each + 1 :] for each in range(len(sessions))]
        centre = np.log(self.roughly())
        low, high = (self._over(centre + step) for step in (-STEP, STEP))
        #: By how many logarithms of the share one of the rate moves it.
        slope = np.maximum((high - low) / (2 * STEP), 1.0)
        centre -= (low + high) / 2 / slope
        centre -= self._over(centre) / slope
        over = self._over(centre)
        moved = np.zeros((len(centre), len(sessions)))
        for each, others in enumerate(without if len(sessions) > 1 else ()):
            late = self._late(np.exp(centre), self._drawn(others))
            moved[:, each] = (len(sessions) - 1) * (self._log(late) - over)
        found = centre[:, np.newaxis] + (moved - over[:, np.newaxis]) / slope[:, np.newaxis]
        highest = math.log(self._asked.servers / self._asked.service_s)
        # The limit may be so long that only more than is served breaks it.
        unbroken = self._over(np.full(len(centre), highest)) <= 0
        if unbroken.any():
            means = [np.concatenate(some).mean() if some else math.nan for some in without]
            grown = np.nan_to_num(np.log(self._asked.servers / np.array(means)) - highest)
            found[unbroken] = highest - (len(sessions) - 1) * grown
        return np.asarray(found, np.float64)

    def _over(self, log_rates: Floats) -> Floats:
        return self._log(self._late(np.exp(log_rates), self._all))

    def _log(self, late: Floats) -> Floats:
        """Return by how much more are late than may be, as a logarithm."""
        return np.asarray(np.log(np.maximum(late, TINY) / self._miss), np.float64)

    def expected(self) -> float:
        """Return which share of the measured passes' requests would come late on average."""
        requests: Counter[float] = Counter()
        for each in self._asked.passes:
            requests[each.rate_per_s] += len(each.service_s)
        late = sum(
            count * float(self._late(np.array([rate_per_s]), self._all)[0])
            for rate_per_s, count in requests.items()
        )
        return late / self._asked.count


class EngineCapacity(Value):
    """What was found of one engine; without a rate, `why` says why there is none.

    `ratio` is how many times the first engine's capacity it is. Of the requests that were measured,
    a share of `late` came late, where `late_expected` was.
    """

    engine: str
    rate_per_s: float | None = None
    interval: Interval | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    service_ms: float | None = None
    utilisation: float | None = None
    requests: int = 0
    late: float | None = None
    late_expected: float | None = None
    lateness: float | None = None
    why: str = ""


class CapacityAnswer(Value):
    """The capacities of the engines that took turns, and what they rest on."""

    title: str
    setting: tuple[int, int, int]
    latency_ms: float
    slo: float
    #: How requests arrived, whatever their rate.
    load: Load = POISSON
    engines: tuple[EngineCapacity, ...]
    sessions: int
    spent_s: float
    seed: int
    host: str


def row_of(
    engine: str, requests: Requests, first: Capacity | None, records: Sequence[Record], *, seed: int
) -> tuple[EngineCapacity, Capacity | None]:
    """Return what is told of an engine, and its capacity.

    `first` is that of the first engine, None where this is the first or it has none.
    """
    if not requests.tells:
        needed = math.ceil(LEAST_ABOVE / (1 - requests.slo) - 1e-6)
        why = f"{requests.count} requests are too few to tell, {needed} are enough; more --budget"
        return EngineCapacity(engine=engine, requests=requests.count, why=why), None
    found = requests.capacity(seed=seed)
    late, expected = requests.late_shares(seed=seed)
    told: dict[str, Any] = {
        "service_ms": requests.service_s * 1e3,
        "requests": requests.count,
        "late": late,
        "late_expected": expected,
        "lateness": lateness(records),
    }
    if found is None:
        alone = f"{100 * requests.late_alone:.1f} %"
        told["why"] = (
            f"no rate keeps the limit: {alone} of the requests take longer though none waits"
        )
    else:
        told |= {
            "rate_per_s": found.rate_per_s,
            "interval": found.interval,
            "utilisation": found.rate_per_s * requests.service_s / requests.servers,
        }
        if first is not None:
            over = found.over(first)
            told |= {"ratio": over.rate_per_s, "ratio_interval": over.interval}
    return EngineCapacity(engine=engine, **told), found
