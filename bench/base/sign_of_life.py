"""A line now and then while something goes on, where no bar shows it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

#: So many seconds at most pass without a line.
EVERY_S = 10.0
#: What ends sooner than this, as an error in what was asked does, needs no line.
QUIET_S = 2.0


class SignOfLife:
    """Tells what goes on where nothing was said for long."""

    def __init__(
        self,
        tell: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        first_s: float = EVERY_S,
    ) -> None:
        """Begin.

        Args:
            tell: says what goes on.
            clock: monotonic seconds.
            first_s: seconds until the first line.
        """
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
