"""Ctrl-C in the middle of what has to be whole: it waits for the end, unless it comes again."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: Ctrl-C, `kill`, and the terminal that was closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def finishing(say: Callable[[str], None]) -> Iterator[None]:
    """Run a block to its end before a signal that interrupts is handed to its handler.

    A second one is handed on at once. In another thread than the main one, which signals never
    interrupt, this does nothing. That the end is waited for is said.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        handler = before[number]
        if came:
            # Twice: a handler that lets the first one through has to get the second one too.
            with suppress(KeyboardInterrupt):
                handler(number, frame)
            handler(number, frame)
        came.append(number)
        say("interrupted: ends when this block is complete; once more ends at once")

    known: dict[int, object] = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in known.items() if callable(handler)}
    for number in before:
        signal.signal(number, take)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        before[came[0]](came[0], None)
