"""Requests that arrive whether or not a process is free: the server protocol, on real processes.

Before a pass begins, requests of before it are imagined: those that would still wait when it begins
wait from its beginning, and do not count. So a short pass shows what a long one would.

Of live streams, requests are windows that move over recordings, each due when its last sample is
there.
"""

import itertools
import math
import select
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from rtfbench.base.child import ChildSilent
from rtfbench.measure import schedule
from rtfbench.measure.messages import Command, Hear, Measure, Ready, Reply, Work, Worked
from rtfbench.measure.queueing import (
    NS_PER_MS,
    NS_PER_S,
    WaitingLine,
    arrivals_ns,
    own_of,
    serve,
    with_those_before,
)
from rtfbench.measure.team import Queue, Team, record_of
from rtfbench.results.cells import Cell
from rtfbench.results.lines import Outcome
from rtfbench.results.load import Load
from rtfbench.results.server import FRAMES

#: A pass has so many requests at least that count. So many are imagined before it, or, in batches,
#: where none are imagined, really served.
REQUESTS, IMAGINED, SERVED_BEFORE = 60, 240, 60
#: What of a record grows with the requests that were served.
SCALED = ("processing_ns", "audio_ns", "padded_audio_ns", "frontend_ns", "engine_ns", "cpu_ns")
#: The system wakes a process some 50 µs late; for the rest of the time this one looks at the clock.
SPIN_S = 200e-6


def load_of(cell: Cell) -> Load:
    """Return how requests arrive at a cell."""
    assert cell.load is not None, "a protocol that offers requests names their load"
    return cell.load


def before_a_pass(batch: int) -> int:
    """Return how many requests of before a pass are looked at."""
    return IMAGINED if batch == 1 else SERVED_BEFORE


class Arriving(NamedTuple):
    """The requests of a pass, in ascending order; those before `first` do not count."""

    due_ns: list[int]
    names: tuple[str, ...]
    first: int


#: Which requests were served together, and the answer.
Together = tuple[tuple[int, ...], Worked]


class _Stopped(Exception):
    """A process ended its cell."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class Service(Team):
    """A team that requests arrive at; a pass over them is one record."""

    #: What a chunk takes, as far as is known.
    _chunk_ns = 0
    #: The block that is on, and the cell's positions in it until now.
    _block: tuple[int, list[int]] = (-1, [])

    def receive(self, timeout_s: float, /) -> Reply:
        """Do what was asked, and return the next answer."""
        reply = super().receive(timeout_s)
        if isinstance(reply, Ready):
            self._chunk_ns = reply.chunk_ns
        return reply

    def _turn(self, order: Measure, timeout_s: float) -> Reply:
        """Run a pass, and return its record, or what failed.

        Its time is what the processes worked on what counts. Where requests were rejected, times
        and audio are as if those had been like the others, so that cells compare that rejected
        others.
        """
        arriving = self.arriving(order, f"{order.block}/{self._spec.session}/{self._pass(order)}")
        counter = _TeamAtWork(self, arriving.names, timeout_s)
        try:
            passed = serve(arriving.due_ns, counter, self.line(arriving.names))
        except _Stopped as stopped:
            return stopped.reply
        wall_ns, replies = counter.now_ns(), counter.replies
        jobs, chunks, (_, names, first) = self._spec.cell.jobs, self._chunks, arriving
        times = {each.request: each.done_ns - each.began_ns for each in passed.served}
        counted = [each for each in replies if max(each[0]) >= first]
        done = [(tuple(names[each] for each in requests), reply) for requests, reply in counted]
        if not done:
            reason = "all requests that count were rejected; lower --rate, or raise --places"
            return Outcome(cell_id=self._spec.cell_id, status="failed", reason=reason)
        work_ns = sum(times[requests[0]] for requests, _ in counted)
        worked = sum(chunks[name] for some, _ in done for name in some)
        self._chunk_ns = work_ns // max(worked, 1)
        found = record_of(self._spec, order, done, wall_ns=max(work_ns // jobs, 1))
        busy_ns = sum(times[requests[0]] for requests, _ in replies) // jobs
        load = load_of(self._spec.cell)
        told = own_of(passed, first=first, wall_ns=wall_ns, busy_ns=busy_ns, load=load)
        if any(each >= first for each in passed.rejected):
            factor = sum(chunks[name] for name in names[first:]) / max(worked, 1)
            told |= {name: round(factor * getattr(found, name)) for name in SCALED}
        found = found.model_copy(update={"queued": order.utterances} | told)
        if load.streams:
            heard = [reply for requests, reply in replies if min(requests) >= first]
            frames = tuple(sum(each.frames[at] for each in heard) for at in (0, 1))
            found = found.model_copy(update={"own": found.own | {FRAMES: frames}})
        return found

    def _pass(self, order: Measure) -> int:
        """Return which of its block's passes one is: each has arrivals of its own.

        A pass that is run again, because something disturbed it, has the same.
        """
        if self._block[0] != order.block:
            self._block = (order.block, [])
        positions = self._block[1]
        if order.position not in positions:
            positions.append(order.position)
        return positions.index(order.position)

    def arriving(self, order: Measure, seed: str) -> Arriving:
        """Return the requests of a pass, with those of before that still wait."""
        names, load = order.utterances, load_of(self._spec.cell)
        count = len(names)
        earlier = before_a_pass(self._spec.cell.batch)
        before = tuple(names[(each - earlier) % count] for each in range(earlier))
        kept, due_ns = with_those_before(
            arrivals_ns(load, earlier + count, seed=seed),
            [max(self._chunk_ns * self._chunks[name], 1) for name in before],
            self.line(before),
        )
        every = (*before, *names)
        return Arriving(due_ns, tuple(every[each] for each in kept), len(kept) - count)

    def line(self, names: Sequence[str]) -> WaitingLine:
        """Return how requests wait."""
        cell, load = self._spec.cell, load_of(self._spec.cell)
        return WaitingLine(
            servers=cell.jobs,
            chunks=[self._chunks[name] for name in names],
            batch=cell.batch,
            delay_ns=round(load.batch_delay_ms * NS_PER_MS),
            places=load.places,
            streams=load.streams,
        )

    def task(self, requests: Sequence[int], names: tuple[str, ...]) -> Command:
        """Return what a process is told to do with requests."""
        return Work(utterances=names)


class _TeamAtWork:
    """The processes of a team, and the clock of one pass."""

    def __init__(self, service: Service, names: Sequence[str], timeout_s: float) -> None:
        self._service, self._names, self._timeout_s = service, names, timeout_s
        self._sent: dict[int, tuple[int, ...]] = {}
        self.replies: list[Together] = []
        self._began_ns = service.clock()

    def now_ns(self) -> int:
        """Return the time since the pass began."""
        return self._service.clock() - self._began_ns

    def begin(self, server: int, requests: Sequence[int]) -> None:
        """Send a task."""
        self._sent[server] = tuple(requests)
        names = tuple(self._names[each] for each in requests)
        self._service.members[server].send(self._service.task(requests, names))

    def finished(self, until_ns: int | None) -> Sequence[int]:
        """Wait for an answer, or for the next request.

        Raises:
            ChildSilent: neither came within the time limit.
        """
        members = self._service.members
        busy = {members[number]: number for number in self._sent}
        while True:
            left_s = math.inf if until_ns is None else (until_ns - self.now_ns()) / NS_PER_S
            sleep_s = max(min(left_s - SPIN_S, self._timeout_s), 0.0)
            readable, _, _ = select.select(list(busy), [], [], sleep_s)
            if readable:
                return [self._take(busy[member]) for member in readable]
            if busy and sleep_s >= self._timeout_s:
                raise ChildSilent.after(self._timeout_s)
            if left_s <= 0:
                return []

    def _take(self, server: int) -> int:
        reply = self._service.members[server].receive(self._timeout_s)
        requests = self._sent.pop(server)
        if not isinstance(reply, Worked):
            raise _Stopped(reply)
        self.replies.append((requests, reply))
        return server


class OpenLoop(Queue):
    """A team of processes that requests arrive at."""

    team = Service

    def slots(
        self, chunks: Mapping[str, int], cell: Cell, *, wanted: float
    ) -> list[tuple[str, ...]]:
        """Return what arrives in a pass, in the order in which it does."""
        mean = sum(chunks.values()) / len(chunks)
        return [
            _repeated(portion, least=REQUESTS)
            for portion in schedule.portions(chunks, wanted=max(wanted, REQUESTS * mean))
        ]

    def drawn(self, chunks: Mapping[str, int], rng: Random) -> tuple[str, ...]:
        """Return what arrives in a pass, each recording drawn anew: callers know of no other."""
        return tuple(rng.choices(sorted(chunks), k=REQUESTS)) if chunks else ()

    def turn_s(self, cell: Cell, requests: int, computed_s: float) -> float:
        """Return how long a pass takes: until the last request arrives, at least."""
        # In batches, those of before are not imagined.
        passes = 1 if cell.batch == 1 else (SERVED_BEFORE + requests) / requests
        return passes * max(computed_s, requests / load_of(cell).rate_per_s)


def _repeated(names: Sequence[str], *, least: int) -> tuple[str, ...]:
    """Return names over and over in an order that mixes them, always the same."""
    found = list(itertools.islice(itertools.cycle(sorted(names)), max(least, len(names))))
    Random("requests").shuffle(found)
    return tuple(found)


#: Of each stream, so many windows count at least.
ROUNDS = 4


def rounds(load: Load) -> int:
    """Return how many windows of each stream count."""
    return max(-(-REQUESTS // load.streams), ROUNDS)


class LiveService(Service):
    """A team that live streams ask; of each, the first window does not count."""

    def arriving(self, order: Measure, seed: str) -> Arriving:
        """Return the windows of a pass; streams begin at windows that lie evenly apart."""
        load, windows = load_of(self._spec.cell), order.utterances
        count = load.streams * (1 + rounds(load))
        first = Random(f"{seed}/windows").randrange(len(windows))
        names = []
        for turn, stream in (divmod(each, load.streams) for each in range(count)):
            begin = first + stream * len(windows) // load.streams
            names.append(windows[(begin + turn) % len(windows)])
        return Arriving(arrivals_ns(load, count, seed=seed), tuple(names), load.streams)

    def task(self, requests: Sequence[int], names: tuple[str, ...]) -> Command:
        """Return what a process is told to do with windows."""
        streams = load_of(self._spec.cell).streams
        return Hear(utterances=names, streams=tuple(each % streams for each in requests))


class LiveStreams(OpenLoop):
    """A team of processes that live streams ask."""

    team = LiveService

    def slots(
        self, chunks: Mapping[str, int], cell: Cell, *, wanted: float
    ) -> list[tuple[str, ...]]:
        """Return all windows in their order: streams begin at several of them."""
        return [tuple(chunks)]

    def drawn(self, chunks: Mapping[str, int], rng: Random) -> tuple[str, ...]:
        """Return the same: of streams, their times are drawn."""
        return tuple(chunks)

    def turn_s(self, cell: Cell, requests: int, computed_s: float) -> float:
        """Return how long a pass takes: what counts of it, and the round before."""
        load = load_of(cell)
        return (1 + rounds(load)) * load.hop_s
