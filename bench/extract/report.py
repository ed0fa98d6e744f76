"""What an extraction tells on standard error while it goes on, and at its end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.extract.messages import Embedding
from bench.extract.pool import Finished
from bench.report import figures

NS_PER_S = 1e9
#: Names that the summary repeats, so that the end of a long log says what to look at.
NAMES_SHOWN = 5


@dataclass(frozen=True)
class Report:
    """Where it goes: `line` says something that stays, `advance` that an utterance is done."""

    line: Callable[[str], None]
    advance: Callable[[], None]


@contextmanager
def on_stderr(total: int) -> Iterator[Report]:
    """Write lines to standard error, where that is a terminal above a bar."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Report(say, lambda: None)
        return
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    eta = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *eta, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield Report(
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
    first_skipped: list[str] = field(default_factory=list)

    def add(self, finished: Finished) -> str:
        """Count an utterance; return the line that is told of it."""
        name, answer = finished.utterance.name, finished.answer
        if isinstance(answer, Embedding):
            self.done += 1
            self.audio_ns += answer.audio_ns
            self.processing_ns += answer.processing_ns
            rtf = figures.rtf(answer.processing_ns / answer.audio_ns)
            return f"{name}: RTF {rtf} ({answer.audio_ns / NS_PER_S:.2f} s)"
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
            )
        if self.skipped:
            more = self.skipped - len(self.first_skipped)
            names = ", ".join(self.first_skipped) + (f" and {more} more" if more else "")
            yield f"{self.skipped} of {self.done + self.skipped} skipped: {names}"
