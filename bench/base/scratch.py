"""Folders for temporary files, which are deleted even where their owner is killed.

The owner holds a lock on its folder, and the lock goes with it, however it ends. Whoever makes a
folder in the same place deletes those that no process holds.
"""

import atexit
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from rtfbench.base.errors import InputError

PREFIX = ".rtfbench-"
#: Of a folder that is not held yet.
FRESH_PREFIX = ".fresh-rtfbench-"


@contextmanager
def held_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder of our own within another; it is deleted at the end.

    Folders that are left in the same place by processes that were killed are deleted first. On a
    file system without locks (NFS, for folders) they stay.
    """
    _sweep(place)
    fresh = Path(mkdtemp(prefix=FRESH_PREFIX, dir=place))
    fd = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Only now others may look at it.
        folder = fresh.rename(place / f"{PREFIX}{fresh.name.removeprefix(FRESH_PREFIX)}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(fd)


def process_folder() -> Path:
    """Return the folder of this process and its children, which get it as TMPDIR.

    It is made at the first call, and deleted at the end of the process.

    Raises:
        InputError: its place is somebody else's.
    """
    return _process_folder(os.getpid())


@cache
def _process_folder(pid: int) -> Path:
    stack = ExitStack()
    folder = stack.enter_context(held_folder(user_folder()))
    atexit.register(_close, stack, pid)
    return folder


def _close(stack: ExitStack, pid: int) -> None:
    if os.getpid() == pid:  # a fork of this process has our folder too, and it is not theirs
        stack.close()


def user_folder() -> Path:
    """Return the folder for all processes of this user on this host.

    Raises:
        InputError: it is somebody else's: what lies in it could be replaced.
    """
    place = Path(gettempdir()) / f"rtfbench-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise InputError(
            f"{place}: others may write here; delete it, or name another place with TMPDIR"
        )
    return place


def _sweep(place: Path) -> None:
    """Delete the folders that no process holds."""
    with os.scandir(place) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    for folder in found:
        with suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)
