"""What `rtfbench explain` stores: where engines spend their time on one chunk, and on many lengths.

The one is operators and groups of them; the other a dynamic session's times and its memory.
"""

from rtfbench.base.values import Interval, Value
from rtfbench.engines.protocol import FLOAT32, Form, Precision
from rtfbench.results.cells import ProtocolName

#: Of a sum that is further from the unprofiled time, a reader is told.
SUMS_AGREE = 0.05


class OperatorCost(Value):
    """One operator of a runtime's graph.

    Attributes:
        name: as the runtime calls it.
        operator: its type, as the runtime calls it.
        implementation: what computes it, where the runtime tells.
        ms: milliseconds a run, scaled to runs without a profiler.
        nodes: names of the source graph's nodes that it computes; none where it is not mapped.
        kind: what it computes, in words.
        block: the part of the model that it belongs to.
        macs: multiply-accumulates that the model asks for there, None where it asks for none.
    """

    name: str
    operator: str
    implementation: str
    ms: float
    nodes: tuple[str, ...]
    kind: str
    block: str
    macs: int | None


class EngineCost(Value):
    """An engine's time for one chunk.

    Attributes:
        engine: as it was asked for.
        form: of its model file.
        precision: what it computes in.
        version: of its runtime.
        failed: why there are no times, empty where there are some.
        wrong: how far its embedding is from the reference, empty where that is allowed.
        fewer_operations: by what the runtime computes the same with fewer operations.
        load_ms: opening a session.
        ms: one run without a profiler; of all engines but the reference, its time times the ratio.
        ratio: to the reference, None of that itself: the first engine with a profile, or the first
            with times where none has one.
        ratio_ci95: its interval, from paired blocks.
        sessions: sets of fresh processes.
        blocks: of paired turns, in all sessions.
        overhead: a profiled run's time over that of one without, None without a profiler.
        told: what operators' own times add up to, over the unprofiled time.
        operators: scaled so that they and `between_ms` add up to `ms`; none without a profiler.
        between_ms: what is in no operator: the runtime itself, and the profiler.
    """

    engine: str
    form: Form
    precision: Precision = FLOAT32
    version: str = ""
    failed: str = ""
    wrong: str = ""
    fewer_operations: str = ""
    load_ms: float | None = None
    ms: float | None = None
    ratio: float | None = None
    ratio_ci95: Interval | None = None
    sessions: int = 0
    blocks: int = 0
    overhead: float | None = None
    told: float | None = None
    operators: tuple[OperatorCost, ...] = ()
    between_ms: float | None = None

    @property
    def in_float32(self) -> bool:
        """Whether it multiplies in float32, in which the peak is measured."""
        return self.precision == FLOAT32 or self.precision.endswith("-weights")

    @property
    def sure(self) -> bool:
        """Whether the time surely differs from the first engine's."""
        interval = self.ratio_ci95
        return interval is not None and not interval[0] <= 1 <= interval[1]

    @property
    def mapped(self) -> float | None:
        """The share of operators' time that belongs to nodes of the source graph."""
        whole = sum(each.ms for each in self.operators)
        ours = sum(each.ms for each in self.operators if each.nodes)
        return ours / whole if whole else None


class GroupCost(Value):
    """A kind or a block in every engine, in their order; None for one without a profile.

    Attributes:
        name: of the group.
        macs: multiply-accumulates that the model asks for, None where it asks for none.
        ms: milliseconds a run.
        more_ms: what it takes more than in the first engine with a profile.
        more_ci95: the interval of that, from sessions; None of a single one.
        surely: whether it surely differs, among all groups and engines of the explanation.
        gflops: 10^9 operations a second, two for each multiply-accumulate.
    """

    name: str
    macs: int | None
    ms: tuple[float | None, ...]
    more_ms: tuple[float | None, ...]
    more_ci95: tuple[Interval | None, ...]
    surely: tuple[bool, ...]
    gflops: tuple[float | None, ...]


class Explanation(Value):
    """Why engines differ on one model.

    `peak_gflops` is what the cores reach at best in float32, None where nothing measures it;
    `kinds` and `blocks` are two ways to group the same time, the costliest first.
    """

    model: str
    threads: int
    chunk_samples: int
    num_frames: int
    protocol: ProtocolName
    cpu: str
    rtfbench: str
    seed: int
    macs: int
    peak_gflops: float | None
    engines: tuple[EngineCost, ...]
    kinds: tuple[GroupCost, ...]
    blocks: tuple[GroupCost, ...]

    def share_of_peak(self, gflops: float, place: int) -> float | None:
        """Return an engine's rate over the peak, None where that is of another type or unknown."""
        comparable = self.peak_gflops is not None and self.engines[place].in_float32
        return gflops / self.peak_gflops if comparable and self.peak_gflops else None

    @property
    def profiled(self) -> tuple[int, ...]:
        """The places of engines that have a profile."""
        return tuple(index for index, engine in enumerate(self.engines) if engine.operators)


class LengthCost(Value):
    """Input of one length.

    Attributes:
        num_frames: the length.
        first_ms: its first run; None where that is the session's very first one.
        back_ms: the median run of this length after one of another.
        again_ms: the median run after one of the same.
        memory_mb: the median resident size of the process after its runs, the first one apart.
    """

    num_frames: int
    first_ms: float | None
    back_ms: float
    again_ms: float
    memory_mb: float


class EngineLengths(Value):
    """An engine on input of many lengths.

    Attributes:
        engine: as it was asked for.
        version: of its runtime.
        failed: how it ended before its time, empty where it did not.
        interrupted: whether it was the user who ended it.
        opened_mb: resident size of the process once the session was open.
        lengths: from short to long; none where not every length came back.
        memory_mb: resident size after each run, in their order.
        growth_kb: mean growth of the resident size a run in the second half of the runs,
            `growth_kb_ci95` its interval, from the growth from round to round.
        settled_mb: how much more memory a length has in that half than at its second visit, when
            every length had come; `settled_mb_ci95` its interval over lengths.
        first: the first run of a length over the one after it, `first_ci95` its interval over
            lengths; `back` the same when a length comes back.
        moved: the largest difference of an embedding to that of the length's first visit, over
            its largest value.
    """

    engine: str
    version: str = ""
    failed: str = ""
    interrupted: bool = False
    opened_mb: float | None = None
    lengths: tuple[LengthCost, ...] = ()
    memory_mb: tuple[float, ...] = ()
    growth_kb: float | None = None
    growth_kb_ci95: Interval | None = None
    settled_mb: float | None = None
    settled_mb_ci95: Interval | None = None
    first: float | None = None
    first_ci95: Interval | None = None
    back: float | None = None
    back_ci95: Interval | None = None
    moved: float | None = None

    @property
    def leaks(self) -> bool:
        """Whether it surely grows on and on, and that matters."""
        interval = self.growth_kb_ci95
        grown_mb = (self.growth_kb or 0.0) * len(self.memory_mb) / 1000
        return interval is not None and interval[0] > 0 and grown_mb >= LEAST_MB

    @property
    def arena_grows(self) -> bool:
        """Whether it grew after every length had come, and then surely no more."""
        interval = self.settled_mb_ci95
        more_mb = self.settled_mb or 0.0
        return not self.leaks and interval is not None and interval[0] > 0 and more_mb >= LEAST_MB


#: Less than this is no finding: allocators keep some pages for themselves.
LEAST_MB = 2.0


class LengthReport(Value):
    """Engines on input of many lengths; `seed` chose lengths and their order."""

    model: str
    threads: int
    cpu: str
    rtfbench: str
    seed: int
    engines: tuple[EngineLengths, ...]
