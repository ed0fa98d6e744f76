"""What a command that measures tells on standard error while it goes on."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.measure.whole_run import Audience


class RichProgress:
    """Progress on standard error; silent when that is no terminal, but for notes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=1.0)

    def phase(self, text: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=text)

    def step(self, text: str) -> None:
        """Show what is being done."""
        self.phase(text)

    def note(self, text: str) -> None:
        """Say it above the bar."""
        complain(text)

    def advance(self, done: float) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done)


class LineProgress:
    """Progress on standard error where that is no terminal: a line for each phase.

    What is expected in all is guessed at first, and then told by how long the part took that is
    done: loading models takes as long as the machine and the models make it.
    """

    def __init__(self, expected_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began_s = clock, clock()
        self._expected_s = expected_s
        say(f"up to about {expected_s:.0f} s, model files that are made for the first time apart")

    def phase(self, text: str) -> None:
        """Say what begins, with the seconds so far and those that are expected in all."""
        say(f"{self._elapsed_s:.0f} s of about {self._expected_s:.0f}: {text}")

    def step(self, text: str) -> None:
        """Say nothing: there are many."""

    def note(self, text: str) -> None:
        """Say it."""
        complain(text)

    def advance(self, done: float) -> None:
        """Expect the rest to take as long as what is done; the next phase says so."""
        if done > 0:
            self._expected_s = self._elapsed_s / done

    @property
    def _elapsed_s(self) -> float:
        return self._clock() - self._began_s


@contextmanager
def progress_on_stderr(
    expected_s: float | None = None,
) -> Iterator[RichProgress | LineProgress]:
    """Show a bar with the present phase until the block ends.

    Args:
        expected_s: how long it will take; with that, lines are told where there is no terminal.
    """
    console = Console(stderr=True)
    if expected_s is not None and not console.is_terminal:
        yield LineProgress(expected_s)
        return
    columns = (BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield RichProgress(bar)


def complain(text: str) -> None:
    """Say on standard error what is wrong."""
    say(f"rtfbench: {text}")


def say(text: str) -> None:
    """Say on standard error, in one line whatever stands in a file's name."""
    print(" ".join(text.splitlines()), file=sys.stderr)


#: What a command that runs a plan tells a user.
ON_STDERR = Audience(say, complain, progress_on_stderr)
