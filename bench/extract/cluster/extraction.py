"""An extraction on a cluster: the list becomes shards, which go where there is room for them."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rtfbench.base.cluster.dask_cluster import Cluster
from rtfbench.base.cluster.driver import Driver, Ended, Lost, Note, Todo
from rtfbench.base.errors import InputError
from rtfbench.base.files import writing_to
from rtfbench.extract.cluster import shard_plan, tasks
from rtfbench.extract.cluster.jobs import ANSWER, Extraction, Pace, PaceJob, ShardDone, ShardJob
from rtfbench.extract.cluster.shard_plan import ShardPlan, written
from rtfbench.extract.messages import ExtractionSetup, WorkerOptions
from rtfbench.extract.shards import Manifest
from rtfbench.inputs.formats import Inputs
from rtfbench.inputs.listing import Listing
from rtfbench.models.facts import facts_of


class ExtractionWatch(Protocol):
    """Is told how an extraction goes on."""

    def begin(self, plan: ShardPlan, finished: dict[int, Manifest]) -> None:
        """Hear what there is to do, and what was done before."""

    def done(self, shard: ShardDone) -> None:
        """Hear of a shard that is finished."""

    def note(self, text: str) -> None:
        """Hear something that is to stay."""


@dataclass(frozen=True)
class ExtractionOrder:
    """What is to be extracted; all paths are absolute.

    `shards` is None where the pace of some utterances decides how many there are; `again` says that
    failures of finished shards are tried again, `fresh` that all shards are made anew.
    """

    setup: ExtractionSetup
    inputs: Inputs
    worker: WorkerOptions
    folder: Path
    shards: int | None
    again: bool
    fresh: bool


def extract_on(
    cluster: Cluster, wanted: ExtractionOrder, listing: Listing, watch: ExtractionWatch
) -> list[str]:
    """Make every shard of a list that a folder lacks.

    Returns:
        A line for each shard that was given up.

    Raises:
        InputError: a worker is of no use, or the folder holds something else.
        ClusterError: the cluster is gone; what is finished stays.
    """
    with _token(wanted.folder) as token:
        extraction = Extraction(
            facts=facts_of(wanted.setup.spec),
            setup=wanted.setup,
            inputs=wanted.inputs,
            list_sha256=listing.sha256,
            worker=wanted.worker,
            folder=wanted.folder,
            token=token,
        )
        _check(cluster, extraction)
        if wanted.fresh:
            shard_plan.clear(wanted.folder)
        count = shard_plan.begun(wanted.folder)
        if count is not None and wanted.shards not in (None, count):
            raise InputError(
                f"{wanted.folder}: was begun with {count} shards, not {wanted.shards}; leave "
                "--shards out, or start again with --overwrite"
            )
        count = count or wanted.shards or _count(cluster, extraction, listing, watch)
        plan = ShardPlan.of(listing, wanted.folder, count)
        finished = {
            number: manifest
            for number, manifest in plan.finished(wanted.setup).items()
            if not (wanted.again and manifest.failures)
        }
        watch.begin(plan, finished)
        missing = (number for number in range(1, len(plan) + 1) if number not in finished)
        return _run(cluster, extraction, plan, missing, watch)


@contextmanager
def _token(folder: Path) -> Iterator[str]:
    """Yield what tells this folder from any other, which nobody else extracts into meanwhile."""
    path = folder / tasks.TOKEN
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: another rtfbench is extracting into it; wait for it, or choose another "
                "--result"
            ) from None
        except OSError:
            pass  # storage without locks; each shard has a lock of its own, where there are any
        token = os.read(fd, 100).decode("ascii")
        if not token:
            token = secrets.token_hex(16)
            os.write(fd, token.encode("ascii"))
            os.fsync(fd)
        yield token
    finally:
        os.close(fd)


def _check(cluster: Cluster, extraction: Extraction) -> None:
    """Refuse a cluster with a worker that is of no use.

    Raises:
        InputError: naming it, with the cure.
    """
    for worker, found in cluster.everywhere(
        tasks.check, extraction.model_dump(mode="json")
    ).items():
        if isinstance(found, str):
            raise InputError(f"worker {worker}: {found}")
        if found:
            raise InputError(f"worker {worker}: {'; '.join(found)}")


def _count(
    cluster: Cluster, extraction: Extraction, listing: Listing, watch: ExtractionWatch
) -> int:
    """Return of how many shards each takes a worker about two minutes.

    Raises:
        InputError: no utterance can be used.
    """
    job = PaceJob(extraction=extraction, places=shard_plan.places(listing))
    executor = cluster.executor(tasks.pace)
    for event in Driver(executor).run([Todo("pace", job.model_dump(mode="json"))]):
        match event:
            case Ended():
                pace = ANSWER.validate_python(event.answer)
                assert isinstance(pace, Pace)
                if not pace.embedded and listing.count > shard_plan.PACED:
                    raise InputError(
                        f"none of {len(pace.failures)} utterances from all over the list can be "
                        f"used; {pace.failures[0]}"
                    )
                return shard_plan.shard_count(listing, pace, sum(executor.workers().values()))
            case Lost():
                raise InputError(event.reason)
            case Note():
                watch.note(event.text)
    raise AssertionError("a task neither ended nor was lost")


def _run(
    cluster: Cluster,
    extraction: Extraction,
    plan: ShardPlan,
    numbers: Iterator[int],
    watch: ExtractionWatch,
) -> list[str]:
    def todo(number: int) -> Todo:
        unit = plan.unit(number)
        stop = unit.first + unit.listing.count
        job = ShardJob(extraction=extraction, shard=unit.shard, first=unit.first, stop=stop)
        return Todo(str(number), job.model_dump(mode="json"))

    lost = []
    driver = Driver(cluster.executor(tasks.extract_shard), lambda key: written(plan.unit(int(key))))
    for event in driver.run(map(todo, numbers)):
        match event:
            case Ended():
                answer = ANSWER.validate_python(event.answer)
                assert isinstance(answer, ShardDone)
                watch.done(answer)
            case Lost():
                lost.append(f"shard {plan.unit(int(event.key)).shard}: {event.reason}")
                watch.note(lost[-1])
            case Note():
                watch.note(event.text)
    return lost
