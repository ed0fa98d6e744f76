"""How an extraction on a cluster goes on, on standard error: one bar, or a line a minute."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bench.cluster.jobs import ShardDone
from bench.cluster.shard_plan import ShardPlan
from bench.extract.report import NS_PER_S, say
from bench.extract.shards import Manifest
from bench.report import figures

#: Off a terminal, as often.
LINE_EVERY_S = 60.0


class Course:
    """How far an extraction is; what was finished before counts, but not in its pace."""

    def __init__(
        self,
        show: Callable[["Course"], None],
        note: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            show: is called whenever something changed.
            note: is told what is to stay.
            clock: monotonic seconds.
        """
        self._show, self.note, self._clock = show, note, clock
        self._began_s = self._clock()
        self.total = self.entries = self.failures = 0
        self._now = self._embedded = self._audio_ns = 0

    def begin(self, plan: ShardPlan, finished: dict[int, Manifest]) -> None:
        """Take up what there is to do, and what was done before."""
        self.total = plan.listing.count
        self.entries = sum(each.entries for each in finished.values())
        self.failures = sum(len(each.failures) for each in finished.values())
        if finished:
            self.note(f"{len(finished)} of {len(plan)} shards are finished")
        self._began_s = self._clock()
        self._show(self)

    def done(self, shard: ShardDone) -> None:
        """Count a shard."""
        self.entries += shard.entries
        self._now += shard.entries
        self.failures += shard.failures
        self._embedded += shard.embedded
        self._audio_ns += shard.audio_ns
        self._show(self)

    def __str__(self) -> str:
        elapsed_s = max(self._clock() - self._began_s, 1e-9)
        text = f"{self.entries} of {figures.counted(self.total, 'utterance')}"
        if self._now:
            left_s = (self.total - self.entries) * elapsed_s / self._now
            text += (
                f", {figures.number(self._embedded / elapsed_s)} a second, "
                f"{figures.number(self._audio_ns / NS_PER_S / elapsed_s)} x real time"
            )
            if left_s:
                text += f", ends in {_duration(left_s)}"
        return text + (f", {self.failures} skipped" if self.failures else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def on_stderr() -> Iterator[Course]:
    """Show the course on standard error until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Course(_Lines().show, say)
        return
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield Course(
            lambda course: bar.update(
                task, description=str(course), completed=course.entries, total=course.total
            ),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )


class _Lines:
    """A line now and then, where a log is written."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def show(self, course: Course) -> None:
        if time.monotonic() - self._last_s >= LINE_EVERY_S:
            self._last_s = time.monotonic()
            say(str(course))
