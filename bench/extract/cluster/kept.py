"""What a worker process of a cluster keeps from one task to the next: sessions and an open list.

Its cores are those that no other process of rtfbench computes on: the pool of one command parts the
cores itself, and the workers of a cluster know nothing of each other.
"""

import atexit
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from rtfbench.base.core_count import cores_here, usable_cores
from rtfbench.base.errors import InputError
from rtfbench.base.scratch import process_folder, user_folder
from rtfbench.extract.cluster.jobs import Extraction
from rtfbench.extract.pool import Pool
from rtfbench.frontends.addresses import Place
from rtfbench.inputs.formats import Inputs
from rtfbench.inputs.listing import Listing


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


class IdleWorkers:
    """Workers with open sessions that have nothing to do, and the list that is being read."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: list[tuple[str, Pool, ExitStack]] = []
        self._list_key: object = None
        self._listing: Listing | None = None
        self._list_stack = ExitStack()

    @contextmanager
    def pool(self, extraction: Extraction) -> Iterator[Pool]:
        """Lend a worker with a session of an extraction; after an error it is not kept."""
        key = _session_key(extraction)
        with self._lock:
            others = [each for each in self._idle if each[0] != key]
            mine = [each for each in self._idle if each[0] == key]
            self._idle = mine[1:]
            for _, _, stack in others:
                stack.close()
            pool, stack = mine[0][1:] if mine else self._start(extraction)
        try:
            yield pool
        except BaseException:
            stack.close()
            raise
        with self._lock:
            self._idle.append((key, pool, stack))

    def listing(self, inputs: Inputs) -> Listing:
        """Return the list, read anew only where its files changed.

        Raises:
            InputError: it cannot be used.
        """
        key = (inputs, *(_state(path) for path in (inputs.wav_scp, inputs.segments, inputs.file)))
        with self._lock:
            if self._listing is None or key != self._list_key:
                self._list_stack.close()
                self._listing = self._list_stack.enter_context(inputs.opened())
                self._list_key = key
            return self._listing

    def close(self) -> None:
        """End everything."""
        with self._lock:
            for _, _, stack in self._idle:
                stack.close()
            self._idle = []
            self._list_stack.close()

    def _start(self, extraction: Extraction) -> tuple[Pool, ExitStack]:
        with ExitStack() as stack:
            cores = stack.enter_context(claimed(extraction.worker.threads))
            logs = stack.enter_context(TemporaryDirectory(dir=process_folder()))
            pool = Pool(extraction.setup, extraction.worker, jobs=1, cores=cores, logs=Path(logs))
            stack.enter_context(pool)
            return pool, stack.pop_all()


#: Of this process.
KEPT = IdleWorkers()
atexit.register(KEPT.close)


def _session_key(extraction: Extraction) -> str:
    return extraction.model_dump_json(include={"setup", "worker"})


def _state(path: Place | None) -> tuple[int, int] | None:
    """Return what changes with a file; what is at an address is read once."""
    if not isinstance(path, Path):
        return None
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return found.st_mtime_ns, found.st_size
