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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from rtfbench.base.values import Interval, Value
from rtfbench.results.load import POISSON, Load, Trace
from rtfbench.results.records import Record
from rtfbench.results.server import WAITING, lateness
from rtfbench.results.stats import LEAST_ABOVE, Floats, student_factor

NS_PER_S = 1e9
#: A block of replays has so many requests, one behind the other, and draws, side by side. Where
#: processes serve so few live streams at most, when those began is what matters.
LONG, SHORT, FEW_STREAMS = (4000, 640), (500, 5120), 30
#: An answer takes so many blocks. Each has so many groups of draws: how those scatter is its error.
BLOCKS, GROUPS = 4, 8
#: A block is so many times as short and as narrow to tell what a session changes, which replays in
#: common tell well, and at which rate to measure next.
FEWER, ROUGHLY = 2, 4
#: Rates are tried in steps of so much, as a logarithm, up to what saturates the processes.
STEP, RUNGS = 0.01, 700
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


def latencies_s(service_s: Floats, due_s: Floats, *, servers: int) -> Floats:
    """Return what requests take from when they are due: first come, first served.

    Args:
        service_s: of each request, [requests, draws].
        due_s: when each is due, [requests, draws].
        servers: how many processes there are.

    Source: Kiefer and Wolfowitz, On the Theory of Queues With Many Servers, 1955.
    """
    took_s = np.empty_like(due_s)
    #: When each process is free, in each draw, the first one first.
    free_s, later_s = np.zeros((servers, due_s.shape[1])), np.empty(due_s.shape[1])
    first = free_s[0]
    for due, serving, took in zip(due_s, service_s, took_s, strict=True):
        np.maximum(first, due, out=first)
        np.add(first, serving, out=first)
        np.subtract(first, due, out=took)
        for one, next_one in itertools.pairwise(free_s):
            np.maximum(one, next_one, out=later_s)
            np.minimum(one, next_one, out=one)
            next_one[:] = later_s
    return took_s


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

    def capacity(self, *, seed: int, blocks: int = BLOCKS) -> Capacity | None:
        """Return the capacity, by the jackknife; None where no rate keeps the latency.

        The seed of the replays is the same for cells that are compared, and they have as many
        blocks.
        """
        if self.late_alone >= 1 - self.slo:
            return None
        sessions, fewer = self._by_session(), _Replays(self, seed, part=FEWER)
        roughly = _Ladder(self, fewer, sessions).log_zero()
        every = _Ladder(self, _Replays(self, seed, blocks=blocks), sessions)
        centre = every.log_zero(roughly)
        groups = blocks * GROUPS
        by_replay = [
            groups * centre - (groups - 1) * every.log_zero(centre, without=each)
            for each in range(groups)
        ]
        by_session = np.full(len(sessions), centre)
        for each in range(len(sessions) if len(sessions) > 1 else 0):
            others = _Ladder(self, fewer, sessions[:each] + sessions[each + 1 :])
            by_session[each] += (len(sessions) - 1) * (roughly - others.log_zero(roughly))
        # The estimate is that of all: a few sessions without which it is a stream more or less say
        # how sure it is, and would correct it by many times that.
        by_session += centre - by_session.mean()
        # Where one stream more is too many, a session that is left out moves nothing, though all
        # may serve a little faster or slower than these did. What serves so much slower holds so
        # much less at least, and in whole streams it may be more.
        slower = np.log([each.mean() for each in sessions])
        if by_session.std() < slower.std():
            by_session = centre - (slower - slower.mean())
            half = _half_width(by_session)
            ends = [
                _Ladder(self, fewer, [each * math.exp(by) for each in sessions]).log_zero(roughly)
                for by in (-half, half)
            ]
            reached = max(abs(end - roughly) for end in ends)
            by_session = centre + (by_session - centre) * max(reached / half, 1.0)
        return Capacity(by_session, np.array(by_replay))

    def late_shares(self, *, seed: int) -> tuple[float, float]:
        """Return which share of the requests came late, and which the replay expects.

        Both are at the rates at which the passes were.
        """
        replays, known_s = _Replays(self, seed), np.sort(np.concatenate(self._by_session()))
        requests: Counter[float] = Counter()
        for each in self.passes:
            requests[each.rate_per_s] += len(each.service_s)
        expected = sum(
            count * float(replays.late(rate_per_s, known_s).mean())
            for rate_per_s, count in requests.items()
        )
        return sum(each.late for each in self.passes) / self.count, expected / self.count

    def worth_trying(self, *, seed: int) -> float:
        """Return the rate to measure at next: what the capacity seems to be."""
        found = FIRST_LOAD * self.servers / self.service_s
        if self.late_alone < 1 - self.slo:
            roughly = _Ladder(self, _Replays(self, seed, part=ROUGHLY), self._by_session())
            found = math.exp(roughly.log_zero())
        # Two digits, so that sessions of about the same rate are of one condition.
        return float(f"{found:.2g}")

    def _by_session(self) -> list[Floats]:
        """Return how long each session's requests took to serve."""
        return [np.concatenate([each.service_s for each in some]) for some in self.sessions]


class ArrivalsAgain:
    """Many draws of how requests arrive under a load; rates stretch them."""

    def __init__(self, load: Load, rng: np.random.Generator, shape: tuple[int, int]) -> None:
        """Draw; `shape` is how many requests, and draws. The load's rate is not used."""
        self._load, self._shape = load, shape
        self._seed = int(rng.integers(2**32))
        self._due = np.zeros(0) if load.streams else self._gaps(rng).cumsum(axis=0)

    def _gaps(self, rng: np.random.Generator) -> Floats:
        """Return gaps at one request a second."""
        count, draws = self._shape
        if self._load.trace is None:
            shape = self._load.gamma_shape
            return np.asarray(rng.gamma(shape, 1 / shape, self._shape), np.float64)
        found = Trace.read(self._load.trace)
        gaps = np.array(found.gaps_s) * found.rate_per_s
        first = rng.integers(len(gaps), size=draws)
        return np.asarray(gaps[(np.arange(count)[:, np.newaxis] + first) % len(gaps)], np.float64)

    def due_s(self, rate_per_s: float) -> Floats:
        """Return when requests are due, [requests, draws]; of streams a whole number asks."""
        if not self._load.streams:
            return self._due / rate_per_s
        count, draws = self._shape
        number = max(round(rate_per_s * self._load.hop_s), 1)
        # One stream more leaves the others as they are.
        began = np.sort(np.random.default_rng(self._seed).random((number, draws)), axis=0)
        turns, stream = np.divmod(np.arange(count), number)
        return np.asarray((began[stream] + turns[:, np.newaxis]) * self._load.hop_s, np.float64)


class _Replays:
    """Draws of arrivals, and of which service times, as a rank from 0 to 1.

    They are the same for every cell, and for a cell without one of its sessions. Draws go side by
    side, because what takes long is to go through requests one by one, and not how many queues do.
    """

    def __init__(self, asked: Requests, seed: int, *, blocks: int = 1, part: int = 1) -> None:
        self._asked, load = asked, asked.load
        few_streams = load.streams and asked.servers / asked.service_s * load.hop_s <= FEW_STREAMS
        count, draws = SHORT if few_streams else LONG
        shape = count // part, draws // part
        self._blocks = []
        for block in range(blocks):
            # A seed is any number, and numpy's is none below 0.
            rng = np.random.default_rng((seed % 2**64, block))
            self._blocks.append((ArrivalsAgain(load, rng, shape), rng.random(shape, np.float32)))

    def late(self, rate_per_s: float, known_s: Floats) -> Floats:
        """Return which share of the requests come late at a rate, in each group of draws.

        Serving one takes one of the times that are known, which are in ascending order.
        """
        found = []
        for arrivals, ranks in self._blocks:
            service_s = known_s[(ranks * len(known_s)).astype(np.int32)]
            due_s = arrivals.due_s(rate_per_s)
            took_s = latencies_s(service_s, due_s, servers=self._asked.servers)
            late = took_s[len(took_s) // 2 :] > self._asked.latency_s
            found.append(late.mean(axis=0).reshape(GROUPS, -1).mean(axis=1))
        return np.concatenate(found)


class _Ladder:
    """How the share of late requests grows, rung by rung of a ladder of rates.

    A rung is one live stream more, or of other requests a hundredth of the rate. In between, the
    share is as if it were one rung for a part of the time, and the next one for the rest.
    """

    def __init__(self, asked: Requests, replays: _Replays, by_session: Sequence[Floats]) -> None:
        self._replays, self._miss = replays, 1 - asked.slo
        self._known_s = np.sort(np.concatenate(by_session))
        self._most_per_s = asked.servers / float(self._known_s.mean())
        self._hop_s = asked.load.hop_s if asked.load.streams else None
        #: The last rung at which no more arrives than is served.
        self._top = RUNGS if self._hop_s is None else int(self._most_per_s * self._hop_s)
        self._late: dict[int, Floats] = {}

    def _rate(self, rung: float) -> float:
        if self._hop_s is not None:
            return rung / self._hop_s
        return self._most_per_s * math.exp(STEP * min(rung - self._top, 0.0))

    def _rung(self, log_rate: float) -> int:
        if self._hop_s is not None:
            return int(math.exp(log_rate) * self._hop_s)
        return self._top + math.floor((log_rate - math.log(self._most_per_s)) / STEP)

    def _share(self, rung: int, without: int | None) -> float:
        """Return how many come late, without one group of draws: all where too many arrive."""
        if not 0 < rung <= self._top:
            return float(rung > 0)
        if rung not in self._late:
            self._late[rung] = self._replays.late(self._rate(rung), self._known_s)
        late = self._late[rung]
        return float(late.mean() if without is None else np.delete(late, without).mean())

    def log_zero(self, near: float | None = None, *, without: int | None = None) -> float:
        """Return the rate from which on too many are late, as a logarithm.

        Args:
            near: to which it probably is.
            without: leaves out one group of draws.
        """
        low, high, step = 0, self._top + 1, 1
        while near is not None:
            low = min(max(self._rung(near) + 1 - step, 0), self._top)
            high = min(low + 2 * step - 1, self._top + 1)
            if self._share(low, without) <= self._miss < self._share(high, without):
                break
            step *= 2
        while high - low > 1:
            middle = (low + high) // 2
            kept = self._share(middle, without) <= self._miss
            low, high = (middle, high) if kept else (low, middle)
        below, above = self._share(low, without), self._share(high, without)
        return math.log(self._rate(low + (self._miss - below) / (above - below)))


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
    budget_s: float | None = None
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
