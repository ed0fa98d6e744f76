"""Live streams: windows that move over recordings, each due when its last sample is there."""

from collections.abc import Mapping, Sequence
from random import Random

from rtfbench.measure.messages import Command, Hear, Measure, Worked
from rtfbench.measure.open_loop import REQUESTS, Arriving, OpenLoop, Service, load_of
from rtfbench.measure.queueing import Passed, arrivals_ns
from rtfbench.results.cells import Cell
from rtfbench.results.lines import Record
from rtfbench.results.live import FRAMES
from rtfbench.results.load import Load

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

    def _record(
        self,
        order: Measure,
        passed: Passed,
        first: int,
        replies: Sequence[tuple[tuple[int, ...], Worked]],
        names: Sequence[str],
        wall_ns: int,
    ) -> Record:
        found = super()._record(order, passed, first, replies, names, wall_ns)
        counted = [reply for requests, reply in replies if min(requests) >= first]
        frames = tuple(sum(each.frames[at] for each in counted) for at in (0, 1))
        return found.model_copy(update={"own": found.own | {FRAMES: frames}})


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
