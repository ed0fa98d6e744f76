"""Signals as interruptions: what is done is kept, and the exit status says which signal it was."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rtfbench.base.interruption import SIGNALS

#: What shells add to a signal's number.
STATUS_BASE = 128


class Interruption:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def status(self) -> int:
        """The exit status that says so."""
        return STATUS_BASE + self.number

    def take(self, number: int, _: FrameType | None) -> None:
        """Interrupt at the first signal; at the second, end at once. Workers end with us."""
        if self.number:
            os._exit(STATUS_BASE + number)
        self.number = number
        raise KeyboardInterrupt


@contextmanager
def as_interruption() -> Iterator[Interruption]:
    """Turn signals into `KeyboardInterrupt` for a while; those that are ignored stay so."""
    found = Interruption()
    before = {
        number: handler
        for number in SIGNALS
        for handler in [signal.getsignal(number)]
        if handler is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, found.take)
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
