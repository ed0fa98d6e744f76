"""What a dynamic session does with input of many lengths: its times and its memory."""

from bench.base.values import Interval, Value


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
