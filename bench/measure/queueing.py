"""When requests arrive, how they wait, and who serves them (pure: the clock is an argument).

Arrivals are drawn before a pass begins, the same for every cell of a comparison, and a latency
counts from when a request was due. So an engine that answers slowly does not thin out its own load,
as it would where the next request waits for the last answer (coordinated omission).
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from rtfbench.results.load import Load, Trace
from rtfbench.results.server import BUSY, DUE, LATE, LIMIT, REJECTED, WAITING, WALL

NS_PER_S = 1e9
NS_PER_MS = 1e6
#: A pass takes over so many requests of before at most.
MOST_LEFT = 60
#: A trace is read once: each pass of each cell has requests of it, and the same.
_trace = lru_cache(maxsize=1)(Trace.read)


def arrivals_ns(load: Load, count: int, *, seed: str) -> list[int]:
    """Return when requests are due, in nanoseconds since a pass begins, in ascending order.

    Args:
        load: how they arrive: one by one at a rate, with gaps that are drawn from a gamma
            distribution or are those of a trace from any place of it on; or from live streams,
            each as regular as a clock, that began at any time.
        count: of requests.
        seed: the same gives the same times.

    Raises:
        InputError: the trace cannot be read.
    """
    rng = random.Random(seed)
    if load.streams:
        began_s = sorted(rng.uniform(0, load.hop_s) for _ in range(load.streams))
        rounds = (divmod(each, load.streams) for each in range(count))
        return [int((began_s[stream] + turn * load.hop_s) * NS_PER_S) for turn, stream in rounds]
    if load.trace is not None:
        found = _trace(load.trace)
        factor, first = found.rate_per_s / load.rate_per_s, rng.randrange(len(found.gaps_s))
        gaps_s = (
            found.gaps_s[(first + each) % len(found.gaps_s)] * factor for each in range(count)
        )
    else:
        shape, mean_s = load.gamma_shape, 1 / load.rate_per_s
        gaps_s = (rng.gammavariate(shape, mean_s / shape) for _ in range(count))
    return [int(second * NS_PER_S) for second in accumulate(gaps_s)]


@dataclass(frozen=True)
class Served:
    """One request; nanoseconds since the pass began.

    It was `due`, `seen` by the harness, its process `began` with it, and it was `done`.
    """

    request: int
    due_ns: int
    seen_ns: int
    began_ns: int
    done_ns: int


@dataclass(frozen=True)
class Passed:
    """What became of the requests of a pass: those that were served, and those without a place."""

    served: list[Served]
    rejected: list[int]


class Counter(Protocol):
    """What stands between requests and processes."""

    def now_ns(self) -> int:
        """Return the time since the pass began."""
        ...

    def begin(self, server: int, requests: Sequence[int]) -> None:
        """Let a process begin with requests."""
        ...

    def finished(self, until_ns: int | None) -> Sequence[int]:
        """Return the processes that have finished; none where that time comes first."""
        ...


@dataclass(frozen=True)
class WaitingLine:
    """How requests wait: first come, first served.

    Attributes:
        servers: how many processes serve.
        chunks: of each request; None where each has one.
        batch: how many chunks go together at most; one request always goes.
        delay_ns: how long a process that is free waits for a batch to fill, from when the first of
            it was due.
        places: how many requests may wait, None for any number.
        streams: how many live streams take turns with their requests; one is served by the process
            that had it before, if that is free.
    """

    servers: int
    chunks: Sequence[int] | None = None
    batch: int = 1
    delay_ns: int = 0
    places: int | None = None
    streams: int = 0

    def take(self, waiting: Iterable[int]) -> tuple[int, bool]:
        """Return how many of those that wait go together, and whether they fill a batch."""
        chunks = count = 0
        for count, request in enumerate(waiting):
            chunks += 1 if self.chunks is None else self.chunks[request]
            if chunks >= self.batch:
                return max(count + (chunks == self.batch), 1), True
        return count + 1, False


def serve(due_ns: Sequence[int], counter: Counter, line: WaitingLine) -> Passed:
    """Let requests arrive, which are due in ascending order, and processes serve them."""
    waiting: deque[int] = deque()
    free = deque(range(line.servers))
    at_work: dict[int, tuple[list[int], int]] = {}
    had: dict[int, int] = {}
    seen_ns: list[int] = []
    passed = Passed([], [])

    def choose(request: int) -> int:
        """Return a process that is free: the one that knows the stream, if there is such."""
        stream = request % line.streams if line.streams else -1
        server = had[stream] if had.get(stream) in free else free[0]
        free.remove(server)
        if line.streams:
            had[stream] = server
        return server

    def dispatch() -> int | None:
        """Give what waits to who is free; return until when one waits for its batch to fill."""
        while free and waiting:
            count, full = line.take(waiting)
            until_ns = due_ns[waiting[0]] + line.delay_ns
            if not full and line.delay_ns and counter.now_ns() < until_ns:
                return until_ns
            some = [waiting.popleft() for _ in range(count)]
            server = choose(some[0])
            at_work[server] = some, counter.now_ns()
            counter.begin(server, some)
        return None

    while len(passed.served) + len(passed.rejected) < len(due_ns):
        now_ns = counter.now_ns()
        until_ns = dispatch()
        while len(seen_ns) < len(due_ns) and due_ns[len(seen_ns)] <= now_ns:
            waiting.append(len(seen_ns))
            seen_ns.append(now_ns)
            until_ns = dispatch()
            if line.places is not None and len(waiting) > line.places and not free:
                passed.rejected.append(waiting.pop())
        if len(seen_ns) < len(due_ns):
            next_ns = due_ns[len(seen_ns)]
            until_ns = next_ns if until_ns is None else min(until_ns, next_ns)
        if not at_work and until_ns is None:
            continue  # the last ones were rejected
        for server in counter.finished(until_ns):
            some, began_ns = at_work.pop(server)
            now_ns = counter.now_ns()
            passed.served.extend(
                Served(each, due_ns[each], seen_ns[each], began_ns, now_ns) for each in some
            )
            free.append(server)
    return passed


class Imagined:
    """A clock that jumps to whatever comes next, and processes that take what they are told.

    Args:
        service_ns: of each request alone.
        together: how long several of them take.
    """

    def __init__(
        self, service_ns: Sequence[int], together: Callable[[Iterable[int]], int] = sum
    ) -> None:
        self._service_ns, self._together, self._now_ns = service_ns, together, 0
        self._ends: list[tuple[int, int]] = []
        #: How many requests went together, each time.
        self.batches: list[int] = []

    def now_ns(self) -> int:
        """Return the time."""
        return self._now_ns

    def begin(self, server: int, requests: Sequence[int]) -> None:
        """Take as long as these requests do."""
        self.batches.append(len(requests))
        took_ns = self._together(self._service_ns[each] for each in requests)
        heapq.heappush(self._ends, (self._now_ns + took_ns, server))

    def finished(self, until_ns: int | None) -> Sequence[int]:
        """Jump to the next end, or to a time that comes before it."""
        if not self._ends or (until_ns is not None and until_ns < self._ends[0][0]):
            assert until_ns is not None
            self._now_ns = max(self._now_ns, until_ns)
            return []
        self._now_ns, server = heapq.heappop(self._ends)
        return [server]


def with_those_before(
    due_ns: Sequence[int], service_ns: Sequence[int], line: WaitingLine
) -> tuple[list[int], list[int]]:
    """Return which requests a pass has, and when they are due since it began.

    Requests of before the pass are imagined. It begins when the first of those began that would be
    at work when the last of them is due; from then on they are really served. So it is from its
    beginning what it would be after a long time: with an empty queue, its first requests would wait
    for less than those behind them, and with one that was served in part and is served anew, for
    longer. What another process is at work on then is served anew where most of it is left.
    Where a process takes several together, what they take is not known of those alone, and a queue
    that is imagined too slow is a tail that is none: there all of those of before are in the pass.

    Args:
        due_ns: of the requests of before and of those of the pass.
        service_ns: what serving each of those of before takes, as far as is known.
        line: how those of before wait.
    """
    if line.batch > 1:
        return list(range(len(due_ns))), list(due_ns)
    before = len(service_ns)
    served = serve(due_ns[:before], Imagined(service_ns), line).served
    began_ns = min(each.began_ns for each in served if each.done_ns > due_ns[before - 1])
    left = sorted(
        each.request
        for each in served
        if each.began_ns >= began_ns or each.done_ns - began_ns > began_ns - each.began_ns
    )
    # Where more arrives than is served there is no end of them.
    kept = [*left[-MOST_LEFT:], *range(before, len(due_ns))]
    return kept, [due_ns[each] - began_ns for each in kept]


def own_of(
    passed: Passed, *, first: int, wall_ns: int, busy_ns: int, load: Load
) -> dict[str, object]:
    """Return what a pass's record tells of its requests, from the first that counts on.

    Of the time that the pass took, its processes were at work for `busy_ns` on average.
    """
    counted = sorted(
        (each for each in passed.served if each.request >= first), key=lambda each: each.request
    )
    own = {
        DUE: tuple(each.due_ns for each in counted),
        WAITING: tuple(each.began_ns - each.due_ns for each in counted),
        LATE: tuple(each.seen_ns - each.due_ns for each in counted),
        WALL: (wall_ns,),
        BUSY: (busy_ns,),
        REJECTED: tuple(sorted(each - first for each in passed.rejected if each >= first)),
    }
    if load.latency_ms is not None:
        own[LIMIT] = (round(load.latency_ms * NS_PER_MS),)
    return {"utterance_ns": tuple(each.done_ns - each.due_ns for each in counted), "own": own}
