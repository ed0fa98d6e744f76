"""python tests/validation/neighbour.py CORE: a process that keeps a core busy, on and off.

It ends when its standard input closes, so that it never outlives whoever started it.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Bursts and pauses last this long, in seconds.
SHORTEST_S, LONGEST_S = 0.2, 1.5
ENDS_WITHIN_S = 60.0


@contextmanager
def neighbour(core: int) -> Iterator[None]:
    """Keep a core busy, on and off, in another process."""
    process = subprocess.Popen([sys.executable, "-P", __file__, str(core)], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=ENDS_WITHIN_S)


def _disturb(core: int) -> None:
    os.sched_setaffinity(0, {core})
    while True:
        until = time.monotonic() + random.uniform(SHORTEST_S, LONGEST_S)
        while time.monotonic() < until:
            pass
        time.sleep(random.uniform(SHORTEST_S, LONGEST_S))


def main() -> None:
    """Disturb until the parent closes the pipe."""
    threading.Thread(target=_disturb, args=(int(sys.argv[1]),), daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
