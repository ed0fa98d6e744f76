"""What an extraction tells on standard error while it goes on, and at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.extract.messages import Embedding, Unusable
from bench.extract.pool import Finished
from bench.report import figures

NS_PER_S = 1e9
MINUTE_S = 60.0
#: Names that the summary repeats, so that the end of a long log says what to look at.
NAMES_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """How much is told: with `quiet` nothing but failures, with `verbose` every utterance."""

    quiet: bool = False
    verbose: bool = False


class Report:
    """What an extraction tells; failures are told at once, whatever else is wanted."""

    def __init__(
        self,
        total: int,
        wanted: Wanted,
        line: Callable[[str], None],
        advance: Callable[[], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell of so many utterances.

        Args:
            total: how many there are.
            wanted: how much is told.
            line: says something that stays.
            advance: moves a bar; without one, how far it is is said once a minute.
            clock: monotonic seconds.
        """
        self.line = line
        self._total, self._wanted, self._advance, self._clock = total, wanted, advance, clock
        self._began_s = self._said_s = clock()

    def finished(self, finished: Finished, tally: "Tally") -> None:
        """Tell of an utterance that is done, or was skipped."""
        told = tally.add(finished)
        if isinstance(finished.answer, Unusable) or self._wanted.verbose:
            self.line(told)
        if self._advance is not None:
            self._advance()
        elif not (self._wanted.quiet or self._wanted.verbose):
            now_s = self._clock()
            if now_s - self._said_s >= MINUTE_S:
                self._said_s = now_s
                self.line(self._so_far(tally, now_s - self._began_s))

    def note(self, text: str) -> None:
        """Tell what a reader may leave out."""
        if not self._wanted.quiet:
            self.line(text)

    def _so_far(self, tally: "Tally", seconds: float) -> str:
        """Say how far it is, how fast it goes and when it will be done."""
        done = tally.done + tally.skipped
        left_min = (self._total - done) * seconds / done / 60
        parts = [
            f"{done} of {self._total} utterances",
            f"{figures.number(done / seconds)} a second",
            f"{figures.number(tally.audio_ns / NS_PER_S / seconds)} x real time",
            *([f"{tally.skipped} skipped"] if tally.skipped else []),
            f"about {max(left_min, 1):.0f} min left",
        ]
        return ", ".join(parts)


@contextmanager
def on_stderr(total: int, wanted: Wanted) -> Iterator[Report]:
    """Write lines to standard error, where that is a terminal above a bar."""
    if wanted.quiet or not sys.stderr.isatty():
        yield Report(total, wanted, say)
        return
    # Loaded for eyes alone: most extractions are started by scripts.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    eta = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *eta, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield Report(
            total,
            wanted,
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
            lambda: bar.advance(task),
        )


def say(text: str) -> None:
    """Write a line to standard error, one whatever stands in a file's name."""
    print(" ".join(text.splitlines()), file=sys.stderr)


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
            kept = _kept(answer.kept_frames, answer.frames)
            return f"{name}: RTF {rtf} ({answer.audio_ns / NS_PER_S:.2f} s){kept}"
        self.skipped += 1
        if len(self.first_skipped) < NAMES_SHOWN:
            self.first_skipped.append(name)
        return f"rtfbench: utterance {name}: {answer.reason}"

    def lines(self, wall_s: float, jobs: int) -> Iterator[str]:
        """Yield the summary.

        Args:
            wall_s: how long everything took, loading included.
            jobs: how many workers there were.
        """
        audio_s, processing_s = self.audio_ns / NS_PER_S, self.processing_ns / NS_PER_S
        if self.done:
            yield (
                f"{figures.counted(self.done, 'utterance')}: "
                f"RTF {figures.rtf(processing_s / audio_s)} "
                f"({processing_s:.2f} s of processing for {audio_s:.2f} s of audio), "
                f"{figures.number(audio_s / wall_s)} x real time on {figures.counted(jobs, 'job')}"
                f"{_kept(self.kept_frames, self.frames)}"
            )
        if self.skipped:
            more = self.skipped - len(self.first_skipped)
            names = ", ".join(self.first_skipped) + (f" and {more} more" if more else "")
            yield f"{self.skipped} of {self.done + self.skipped} skipped: {names}"


def _kept(kept_frames: int, frames: int) -> str:
    """Say which share of the frames is speech, nothing where nobody looked."""
    return f", {figures.percent(kept_frames / frames)} of the frames are speech" if frames else ""
