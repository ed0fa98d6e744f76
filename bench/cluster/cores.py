"""Cores of this host that no other process of rtfbench computes on.

The pool of one command parts the cores itself; the workers of a cluster know nothing of each other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.base.core_count import cores_here
from bench.base.errors import InputError
from bench.base.scratch import user_folder
from bench.machine.cores import usable_cores


@contextmanager
def claimed(count: int) -> Iterator[list[int]]:
    """Yield so many cores, or all that may be used if not so many are free.

    Under a CPU quota these are all: the locks are not seen by other containers of the host, which
    would claim the same cores.

    A locked file a core, in a folder of the host's own: the kernel takes the lock back from a
    process that is killed.
    """
    fds: dict[int, int] = {}
    try:
        for core in [] if cores_here().limited else usable_cores():
            if len(fds) < count and (fd := _locked(core)) is not None:
                fds[core] = fd
        yield list(fds) if len(fds) == count else usable_cores()
    finally:
        for fd in fds.values():
            os.close(fd)


def _locked(core: int) -> int | None:
    """Return the descriptor of a core's lock, None where somebody else has it or may not be asked.

    A lock belongs to the open file: another one in the same process is refused as well.
    """
    try:
        folder = user_folder() / "cores"
        folder.mkdir(exist_ok=True)
        fd = os.open(folder / str(core), os.O_RDWR | os.O_CREAT, 0o600)
    except (OSError, InputError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
