"""What runs on a worker of a cluster, and what it and the client say to each other.

On the way these are plain dictionaries that JSON could hold. Nothing that is foreseen is raised:
its reason travels as an answer.

A worker keeps sessions and an open list from one task to the next. Its cores are those that no
other process of rtfbench computes on: the pool of one command parts the cores itself, and the
workers of a cluster know nothing of each other.
"""

import atexit
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter

from rtfbench.base.cache import sha256_of
from rtfbench.base.core_count import cores_here, usable_cores
from rtfbench.base.errors import InputError
from rtfbench.base.files import reading_from
from rtfbench.base.scratch import process_folder, user_folder
from rtfbench.base.values import Value
from rtfbench.embed.embeddings import Named
from rtfbench.engines.protocol import EngineError
from rtfbench.extract.messages import Embedding, ExtractionSetup, Unusable, WorkerOptions
from rtfbench.extract.pool import ExtractError, Pool
from rtfbench.extract.report import Tally
from rtfbench.extract.result import Remaining, ResultBusyError, ResultFile
from rtfbench.extract.shards import Shard, Unit
from rtfbench.frontends.addresses import Place
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.find import Listing
from rtfbench.inputs.formats import Inputs
from rtfbench.models.facts import Facts, facts_of

#: The file by which a worker knows the client's folder.
TOKEN = ".cluster"


class Extraction(Value):
    """What all shards of an extraction have in common; all paths are absolute.

    `folder` is where the shards go, on storage that every host shares. It holds `token`, by which a
    worker knows that it sees the client's folder and not another one of that name.
    """

    facts: Facts
    setup: ExtractionSetup
    inputs: Inputs
    list_sha256: str
    worker: WorkerOptions
    folder: Path
    token: str


class ShardJob(Value):
    """One shard, and where in the list it begins and ends."""

    extraction: Extraction
    shard: Shard
    first: int
    stop: int


class PaceJob(Value):
    """Utterances by their places in the list, of which it is only asked how long they take."""

    extraction: Extraction
    places: tuple[int, ...]


class ShardDone(Value):
    """A finished shard; what was finished before has no times.

    `embedded` counts those of this turn alone, as the times do.
    """

    kind: Literal["done"] = "done"
    entries: int
    failures: int
    embedded: int = 0
    audio_ns: int = 0


class Pace(Value):
    """How long utterances took, by the clock on the wall; `failures` says why others did not."""

    kind: Literal["pace"] = "pace"
    embedded: int
    wall_s: float
    failures: tuple[str, ...] = ()


class ShardRefusal(Value):
    """Why there is no answer.

    `busy`: another process is writing the shard. `failed`: it may be better elsewhere. `unfit`: the
    worker is of no use, for any shard.
    """

    kind: Literal["busy", "failed", "unfit"]
    reason: str


Answer = Annotated[ShardDone | Pace | ShardRefusal, Field(discriminator="kind")]
ANSWER: TypeAdapter[ShardDone | Pace | ShardRefusal] = TypeAdapter(Answer)


ClusterJob = TypeVar("ClusterJob", PaceJob, ShardJob)


class UnfitError(Exception):
    """This worker is of no use; one line that says why, and the cure."""


def check(extraction: dict[str, Any]) -> list[str]:
    """Say what keeps this worker from being of use, each with its cure."""
    return _unfit(Extraction.model_validate(extraction))


def pace(job: dict[str, Any]) -> dict[str, Any]:
    """Embed some utterances, and say how long it took."""
    return _answer(PaceJob.model_validate(job), _pace)


def extract_shard(job: dict[str, Any]) -> dict[str, Any]:
    """Write a shard and its manifest, going on with what a lost worker left of it."""
    return _answer(ShardJob.model_validate(job), _extract_shard)


def _answer(
    job: ClusterJob, work: Callable[[ClusterJob], ShardDone | Pace | ShardRefusal]
) -> dict[str, Any]:
    """Do the work, and turn what went wrong into an answer."""
    try:
        if found := _unfit(job.extraction):
            raise UnfitError("; ".join(found))
        answer = work(job)
    except UnfitError as error:
        answer = ShardRefusal(kind="unfit", reason=str(error))
    except ResultBusyError as error:
        answer = ShardRefusal(kind="busy", reason=str(error))
    except (InputError, AudioError, ExtractError, OSError) as error:
        answer = ShardRefusal(kind="failed", reason=" ".join(str(error).split()))
    return answer.model_dump(mode="json")


def _unfit(extraction: Extraction) -> list[str]:
    """Say what keeps this worker from being of use, each with its cure."""
    try:
        setup = extraction.setup
        found = facts_of(setup.spec).differences(extraction.facts)
    except EngineError as error:
        return [str(error)]
    artifact, folder = setup.artifact, extraction.folder
    try:
        if sha256_of(artifact.path) != artifact.sha256:
            found.append(
                f"{artifact.path} is not the client's, whose SHA-256 begins with "
                f"{artifact.sha256[:12]}; put that file there, or on storage that all hosts share"
            )
    except OSError as error:
        found.append(
            f"{artifact.path} cannot be read ({error.strerror}); put the model on storage that all "
            "hosts share, for one that is made or converted by pointing RTFBENCH_CACHE there"
        )
    token = ""
    with suppress(OSError):
        token = (folder / TOKEN).read_text(encoding="ascii")
    if token != extraction.token:
        found.append(
            f"{folder} is not the client's folder; name a --result on storage that all hosts share"
        )
    return found


def _listing(extraction: Extraction) -> Listing:
    """Return the client's list; where it is another one, this worker is an `UnfitError`."""
    try:
        listing = KEPT.listing(extraction.inputs)
    except InputError as error:
        raise UnfitError(f"{error}; put the list on storage that all hosts share") from error
    if listing.sha256 != extraction.list_sha256:
        raise UnfitError("the list is not the client's; put it on storage that all hosts share")
    return listing


def _pace(job: PaceJob) -> Pace:
    listing = _listing(job.extraction)
    utterances = [each for place in job.places for each in listing.read(place, place + 1)]
    failures, embedded, began_s = [], 0, 0.0
    with KEPT.pool(job.extraction) as pool:
        # The first one is not timed: it waits for the model to be loaded.
        for number, finished in enumerate(pool.embed([*utterances[:1], *utterances])):
            if number == 0:
                began_s = time.monotonic()
            elif isinstance(finished.answer, Unusable):
                failures.append(f"{finished.utterance.name}: {finished.answer.reason}")
            else:
                embedded += 1
    wall_s = time.monotonic() - began_s
    return Pace(embedded=embedded, wall_s=wall_s, failures=tuple(failures))


def _extract_shard(job: ShardJob) -> ShardDone:
    extraction, listing = job.extraction, _listing(job.extraction)
    unit = Unit(job.shard, listing, job.first, job.stop, extraction.folder)
    earlier = unit.earlier(extraction.setup)
    if earlier is not None and not earlier.failures:
        return ShardDone(entries=earlier.entries, failures=0)
    with ResultFile(unit.result, keeps_origins=True, list_sha256=listing.sha256) as file:
        todo = Remaining(unit.listing, file.begin(extraction.setup, resume=True, overwrite=False))
        tally = Tally()
        with KEPT.pool(extraction) as pool:
            for finished in pool.embed(todo):
                if isinstance(finished.answer, Embedding):
                    named = Named(finished.utterance.name, finished.answer.values_D)
                    file.append(named, finished.origin)
                unit.add(finished)
                tally.add(finished)
        file.finish(None if todo.in_order else unit.listing.names())
        unit.finish(extraction.setup)
    return ShardDone(
        entries=unit.listing.count,
        failures=len(unit.failures),
        embedded=tally.done,
        audio_ns=tally.audio_ns,
    )


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
        key = extraction.model_dump_json(include={"setup", "worker"})
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


def _state(path: Place | None) -> tuple[int, int] | None:
    """Return what changes with a file; what is at an address is read once."""
    if not isinstance(path, Path):
        return None
    with reading_from(path):
        found = path.stat()
    return found.st_mtime_ns, found.st_size
