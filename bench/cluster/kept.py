"""What a worker process of a cluster keeps from one task to the next: sessions and an open list."""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from bench.base.errors import InputError
from bench.base.memory import MemoryLimit
from bench.base.scratch import process_folder
from bench.cluster.cores import claimed
from bench.cluster.jobs import Extraction
from bench.extract.pool import Pool
from bench.inputs.formats import Inputs
from bench.inputs.listing import Listing
from frontends.addresses import Place


class Kept:
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
            cores = stack.enter_context(claimed(extraction.threads))
            logs = stack.enter_context(TemporaryDirectory(dir=process_folder()))
            pool = Pool(
                extraction.setup,
                jobs=1,
                threads=extraction.threads,
                cores=cores,
                logs=Path(logs),
                batch=extraction.batch,
                timeout_s=extraction.timeout_s,
                memory=MemoryLimit.of_megabytes(extraction.max_rss_mb),
            )
            stack.enter_context(pool)
            return pool, stack.pop_all()


#: Of this process.
KEPT = Kept()
atexit.register(KEPT.close)


def _session_key(extraction: Extraction) -> str:
    parts = ("setup", "threads", "batch", "timeout_s", "max_rss_mb")
    return extraction.model_dump_json(include=set(parts))


def _state(path: Place | None) -> tuple[int, int] | None:
    """Return what changes with a file; what is at an address is read once."""
    if not isinstance(path, Path):
        return None
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return found.st_mtime_ns, found.st_size
