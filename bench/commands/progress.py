"""What a command that measures tells on standard error while it goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rtfbench.base import pace
from rtfbench.base.errors import complain, say
from rtfbench.base.pace import QUIET_S, Countdown, SignOfLife
from rtfbench.measure.whole_run import Audience
from rtfbench.report import figures

#: Nearer to each other than this, the least and the most that is left are one figure.
ONE_FIGURE = 1.3
#: A bar is drawn so often, a second: drawing takes time from what is measured.
DRAWN_PER_S = 2


class ToldCountdown(Countdown):
    """The time that is left, in words; none where it is not known."""

    def __str__(self) -> str:
        left_s = self.left_s
        if left_s is None or left_s[1] < 1:
            return ""
        least_s, most_s = left_s
        if most_s < ONE_FIGURE * least_s:
            return f"about {figures.duration(most_s)} left"
        if least_s < 1:
            return f"at most {figures.duration(most_s)} left"
        return f"{figures.duration(least_s)} to {figures.duration(most_s)} left"


class RichProgress(pace.Progress):
    """Progress as a bar on a terminal."""

    def __init__(self, progress: Progress, countdown: ToldCountdown) -> None:
        self._progress, self._countdown = progress, countdown
        self._task = progress.add_task("starting", total=1.0, left=countdown)

    def phase(self, text: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=text, completed=self._countdown.share)

    def step(self, text: str) -> None:
        """Show what is being done."""
        self.phase(text)

    def note(self, text: str) -> None:
        """Say it above the bar."""
        complain(text)

    def left(self, most_s: float, least_s: float | None = None) -> None:
        """Move the bar."""
        self._countdown.tell(most_s, least_s)
        self._progress.update(self._task, completed=self._countdown.share)


class LineProgress(pace.Progress):
    """Progress on standard error where that is no terminal: a line a phase, and now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._countdown, self._text = ToldCountdown(clock), "starting"
        self.life = SignOfLife(self._say, clock, first_s=QUIET_S)

    def phase(self, text: str) -> None:
        """Say what begins, with the seconds so far and, where they are known, those left.

        In the first two seconds it is only remembered, for what may end before they are over.
        """
        self._text = text
        if self._countdown.elapsed_s >= QUIET_S:
            self._say()

    def step(self, text: str) -> None:
        """Remember what goes on: there are many steps, and a line is said now and then."""
        self._text = text

    def note(self, text: str) -> None:
        """Say it."""
        complain(text)

    def left(self, most_s: float, least_s: float | None = None) -> None:
        """Remember it; the next line says it."""
        self._countdown.tell(most_s, least_s)

    def _say(self) -> None:
        self.life.said()
        left = f", {self._countdown}" if str(self._countdown) else ""
        say(f"{self._countdown.elapsed_s:.0f} s{left}: {self._text}")


@contextmanager
def progress_on_stderr() -> Iterator[RichProgress | LineProgress]:
    """Show until the block ends what goes on: a bar, or lines where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = LineProgress()
        with lines.life.watching():
            yield lines
        return
    columns = (
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=DRAWN_PER_S) as bar:
        yield RichProgress(bar, ToldCountdown())


#: What a command that runs a plan tells a user.
ON_STDERR = Audience(say, complain, progress_on_stderr)
