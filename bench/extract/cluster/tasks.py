"""What runs on a worker of a cluster: functions of dictionaries that JSON could hold.

Nothing that is foreseen is raised: its reason travels as an answer.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.embed.embeddings import Named
from rtfbench.engines.protocol import EngineError
from rtfbench.extract.cluster.jobs import (
    Extraction,
    Pace,
    PaceJob,
    ShardDone,
    ShardJob,
    ShardRefusal,
)
from rtfbench.extract.cluster.kept import KEPT
from rtfbench.extract.listing import Remaining
from rtfbench.extract.messages import Embedding, Unusable
from rtfbench.extract.pool import ExtractError
from rtfbench.extract.report import Tally
from rtfbench.extract.result import ResultBusyError, ResultFile
from rtfbench.extract.shards import Unit
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.listing import Listing
from rtfbench.models.facts import facts_of

#: The file by which a worker knows the client's folder.
TOKEN = ".cluster"


class UnfitError(Exception):
    """This worker is of no use; one line that says why, and the cure."""


def check(extraction: dict[str, Any]) -> list[str]:
    """Say what keeps this worker from being of use, each with its cure."""
    return _unfit(Extraction.model_validate(extraction))


def pace(job: dict[str, Any]) -> dict[str, Any]:
    """Embed some utterances, and say how long it took."""
    asked = PaceJob.model_validate(job)
    return _answer(asked.extraction, lambda: _pace(asked))


def extract_shard(job: dict[str, Any]) -> dict[str, Any]:
    """Write a shard and its manifest, going on with what a lost worker left of it."""
    asked = ShardJob.model_validate(job)
    return _answer(asked.extraction, lambda: _extract_shard(asked))


def _answer(
    extraction: Extraction, work: Callable[[], ShardDone | Pace | ShardRefusal]
) -> dict[str, Any]:
    """Do the work, and turn what went wrong into an answer."""
    try:
        if found := _unfit(extraction):
            raise UnfitError("; ".join(found))
        answer = work()
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
    """Return the client's list.

    Raises:
        UnfitError: it is another one here.
    """
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
    part = listing.part(job.first, job.stop)
    unit = Unit(job.shard, listing, job.first, part, extraction.folder)
    earlier = unit.earlier(extraction.setup)
    if earlier is not None and not earlier.failures:
        return ShardDone(entries=earlier.entries, failures=0)
    with ResultFile(unit.result, keeps_origins=True, list_sha256=listing.sha256) as file:
        todo = Remaining(part, file.begin(extraction.setup, resume=True, overwrite=False))
        tally = Tally()
        with KEPT.pool(extraction) as pool:
            for finished in pool.embed(todo):
                if isinstance(finished.answer, Embedding):
                    named = Named(finished.utterance.name, finished.answer.values_D)
                    file.append(named, finished.origin)
                unit.add(finished)
                tally.add(finished)
        file.finish(None if todo.in_order else part.names())
        unit.finish(extraction.setup)
    return ShardDone(
        entries=part.count,
        failures=len(unit.failures),
        embedded=tally.done,
        audio_ns=tally.audio_ns,
    )
