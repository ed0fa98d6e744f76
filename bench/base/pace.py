"""How long something still takes, and a line now and then while no bar shows that it goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


class Progress:
    """Where a run tells what it is doing; by itself it shows nothing."""

    def phase(self, text: str) -> None:
        """Say what begins now."""

    def step(self, text: str) -> None:
        """Say what begins within a phase."""

    def note(self, text: str) -> None:
        """Say what a user should know and might change."""

    def left(self, most_s: float, least_s: float | None = None) -> None:
        """Say how many seconds are left; with `least_s`, at most, and at least so many."""


#: So many moments are remembered at most.
MOST_MARKS = 64


class PieceTimes:
    """How long a piece of work takes, by the latter half of those that are done.

    The machine of an hour ago is another one, and a single piece tells little.
    """

    def __init__(self) -> None:
        self._marks = [(0.0, 0.0)]

    def add(self, took_s: float, pieces: float = 1.0) -> None:
        """Count pieces that are done, and the seconds that they took together."""
        done_s, done = self._marks[-1]
        self._marks.append((done_s + took_s, done + pieces))
        if len(self._marks) > MOST_MARKS:
            del self._marks[1:-1:2]

    @property
    def done(self) -> float:
        """How many pieces are done."""
        return self._marks[-1][1]

    @property
    def piece_s(self) -> float | None:
        """Seconds that a piece takes now, None before the first is done."""
        end_s, end = self._marks[-1]
        if not end:
            return None
        began_s, began = next(mark for mark in reversed(self._marks) if mark[1] <= end / 2)
        return (end_s - began_s) / (end - began)

    @property
    def mean_s(self) -> float | None:
        """Seconds that a piece took, over all that are done; None before the first is."""
        end_s, end = self._marks[-1]
        return end_s / end if end else None

    def left_s(self, pieces: float) -> float | None:
        """Return the seconds that so many more take, None where nothing is known of one."""
        return None if self.piece_s is None else pieces * self.piece_s


class Countdown:
    """The time that is left: as it was told, less what has gone by since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began_s = clock, clock()
        self._told: tuple[float, float, float] | None = None

    def tell(self, most_s: float, least_s: float | None = None) -> None:
        """Take what is left from now on, at most and at least."""
        self._told = self._clock(), most_s, most_s if least_s is None else least_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> tuple[float, float] | None:
        """The least and the most seconds that are left; None where that is not known."""
        if self._told is None:
            return None
        at_s, most_s, least_s = self._told
        gone_s = self._clock() - at_s
        # What takes longer than it was to take has no end that is known.
        return None if gone_s > most_s else (max(least_s - gone_s, 0.0), most_s - gone_s)

    @property
    def share(self) -> float:
        """The share that is done, of the time that it takes at most."""
        left_s = self.left_s
        if left_s is None:
            return 0.0
        return self.elapsed_s / max(self.elapsed_s + left_s[1], 1e-9)


#: So many seconds at most pass without a line.
EVERY_S = 10.0
#: What ends sooner than this, as an error in what was asked does, needs no line.
QUIET_S = 2.0


class SignOfLife:
    """Tells what goes on where nothing was said for long, first after `first_s` seconds."""

    def __init__(
        self,
        tell: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        first_s: float = EVERY_S,
    ) -> None:
        self._tell, self._clock = tell, clock
        self._due_s = clock() + first_s

    def said(self) -> None:
        """Note that something was said."""
        self._due_s = self._clock() + EVERY_S

    def look(self) -> float:
        """Tell what goes on if it is time; return after how many seconds to look again."""
        left_s = self._due_s - self._clock()
        if left_s > 0:
            return left_s
        self.said()
        self._tell()
        return EVERY_S

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the block ends; a thread that sleeps takes no core from what is measured."""
        over = Event()

        def watch() -> None:
            while not over.wait(self.look()):
                pass

        thread = Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
