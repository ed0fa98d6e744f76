"""What an extraction tells on standard error while it goes on, and at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Timer

from rtfbench.base.errors import say
from rtfbench.base.pace import EVERY_S, QUIET_S, PieceTimes, SignOfLife
from rtfbench.extract.messages import Embedding, Unusable
from rtfbench.extract.pool import Finished
from rtfbench.frontends.audio import raised
from rtfbench.report import figures

NS_PER_S = 1e9
#: Names that the summary repeats, so that the end of a long log says what to look at.
NAMES_SHOWN = 5


@dataclass(frozen=True)
class Verbosity:
    """How much is told: with `quiet` nothing but failures, with `verbose` every utterance."""

    quiet: bool = False
    verbose: bool = False


TALKATIVE = Verbosity()


class Report:
    """What an extraction tells; failures are told at once, whatever else is wanted."""

    def __init__(
        self,
        total: int,
        wanted: Verbosity,
        line: Callable[[str], None],
        advance: Callable[[], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell of so many utterances.

        `line` says something that stays; `advance` moves a bar, and without one, a line says now
        and then how far it is.
        """
        self._line = line
        self._total, self._wanted, self._advance, self._clock = total, wanted, advance, clock
        self._began_s = self._finished_s = clock()
        self._pace, self._tally = PieceTimes(), Tally()
        self.life = SignOfLife(lambda: self.line(self._so_far()), clock)

    def line(self, text: str) -> None:
        """Say something that stays."""
        self.life.said()
        self._line(text)

    def finished(self, finished: Finished, tally: "Tally") -> None:
        """Tell of an utterance that is done, or was skipped."""
        told, now_s = tally.add(finished), self._clock()
        # Before the first one, workers start, which comes once.
        if tally.done + tally.skipped > 1:
            self._pace.add(now_s - self._finished_s)
        self._finished_s, self._tally = now_s, tally
        if isinstance(finished.answer, Unusable) or self._wanted.verbose:
            self.line(told)
        if self._advance is not None:
            self._advance()

    def note(self, text: str) -> None:
        """Tell what a reader may leave out."""
        if not self._wanted.quiet:
            self.line(text)

    def _so_far(self) -> str:
        """Say how far it is, and once something is known, how fast it goes and how long yet."""
        tally, seconds = self._tally, self._clock() - self._began_s
        done = tally.done + tally.skipped
        parts = [f"{seconds:.0f} s: {done} of {self._total} utterances"]
        left_s = self._pace.left_s(self._total - done)
        if left_s is not None:
            parts += [
                f"{figures.number(done / seconds)} a second",
                f"{figures.number(tally.audio_ns / NS_PER_S / seconds)} x real time",
                *([f"{tally.skipped} skipped"] if tally.skipped else []),
                f"about {figures.duration(left_s)} left",
            ]
        return ", ".join(parts)


@contextmanager
def on_stderr(total: int, wanted: Verbosity) -> Iterator[Report]:
    """Write lines to standard error, where that is a terminal above a bar."""
    if wanted.quiet or not sys.stderr.isatty():
        told = Report(total, wanted, say)
        with nullcontext() if wanted.quiet else told.life.watching():
            yield told
        return
    # Loaded for eyes alone: most extractions are started by scripts.
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = (progress.BarColumn(bar_width=24), progress.MofNCompleteColumn())
    times = (progress.TimeElapsedColumn(), progress.TextColumn("left"))
    left = progress.TimeRemainingColumn()
    with progress.Progress(*columns, *times, left, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield Report(
            total,
            wanted,
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
            lambda: bar.advance(task),
        )


@contextmanager
def while_reading(what: object, wanted: Verbosity = TALKATIVE) -> Iterator[None]:
    """Tell until the block ends that something is read, where that takes long.

    Without a terminal a line now and then; on one a bar, for which nothing is loaded before it is
    needed: most lists are short.
    """
    if wanted.quiet:
        yield
        return
    began_s, text = time.monotonic(), f"reading {what}"
    if not sys.stderr.isatty():
        life = SignOfLife(
            lambda: say(f"{time.monotonic() - began_s:.0f} s: {text}"), first_s=EVERY_S
        )
        with life.watching():
            yield
        return
    with ExitStack() as drawn:
        late = Timer(QUIET_S, _draw, (drawn, text))
        late.daemon = True
        late.start()
        try:
            yield
        finally:
            late.cancel()
            late.join()


def _draw(drawn: ExitStack, text: str) -> None:
    """Draw a bar of what has no known end, until it is closed."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    told = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(bar_width=24), TimeElapsedColumn(), told)
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    drawn.enter_context(bar).add_task(text, total=None)


def say_on_terminal(text: str) -> None:
    """Write a line that only somebody who waits wants to see."""
    if sys.stderr.isatty():
        say(text)


@dataclass
class Tally:
    """What an extraction amounts to so far."""

    done: int = 0
    audio_ns: int = 0
    processing_ns: int = 0
    skipped: int = 0
    kept_frames: int = 0
    frames: int = 0
    first_skipped: list[str] = field(default_factory=list)
    #: Rate that the model needs, 0 where raised rates are not looked for.
    sample_rate_hz: int = 0
    raised: int = 0
    lowest_hz: int = 0

    def add(self, finished: Finished) -> str:
        """Count an utterance; return the line that is told of it."""
        name, answer = finished.utterance.name, finished.answer
        if isinstance(answer, Embedding):
            self.done += 1
            self.audio_ns += answer.audio_ns
            self.processing_ns += answer.processing_ns
            rtf = figures.rtf(answer.processing_ns / answer.audio_ns)
            self.kept_frames += answer.kept_frames
            self.frames += answer.frames
            if 0 < answer.file_rate_hz < self.sample_rate_hz:
                self.raised += 1
                self.lowest_hz = min(self.lowest_hz or answer.file_rate_hz, answer.file_rate_hz)
            kept = _kept(answer.kept_frames, answer.frames)
            return f"{name}: RTF {rtf} ({answer.audio_ns / NS_PER_S:.2f} s){kept}"
        self.skipped += 1
        if len(self.first_skipped) < NAMES_SHOWN:
            self.first_skipped.append(name)
        return f"rtfbench: utterance {name}: {answer.reason}"

    def lines(self, wall_s: float, jobs: int) -> Iterator[str]:
        """Yield the summary of what so many jobs did in `wall_s`, loading included."""
        audio_s, processing_s = self.audio_ns / NS_PER_S, self.processing_ns / NS_PER_S
        if self.done:
            speed = f"{figures.number(audio_s / wall_s)} x real time"
            yield (
                f"{figures.counted(self.done, 'utterance')}: "
                f"RTF {figures.rtf(processing_s / audio_s)} "
                f"({processing_s:.2f} s of processing for {audio_s:.2f} s of audio), "
                f"{speed} on {figures.counted(jobs, 'job')}, loading included"
                f"{_kept(self.kept_frames, self.frames)}"
            )
        if self.raised:
            yield raised(self.raised, self.lowest_hz, self.sample_rate_hz)
        if self.skipped:
            more = self.skipped - len(self.first_skipped)
            names = ", ".join(self.first_skipped) + (f" and {more} more" if more else "")
            yield f"{self.skipped} of {self.done + self.skipped} skipped: {names}"


def _kept(kept_frames: int, frames: int) -> str:
    """Say which share of the frames is speech, nothing where that was not looked at."""
    return f", {figures.percent(kept_frames / frames)} of the frames are speech" if frames else ""
