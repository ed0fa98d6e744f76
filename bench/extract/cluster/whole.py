"""An extraction on a cluster: the list becomes shards, which go where there is room for them.

How it goes on is told on standard error: one bar, or a line a minute.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rtfbench.base.cluster.dask_cluster import LOCAL, Cluster, connected
from rtfbench.base.cluster.driver import ClusterError, Driver, Ended, Lost, Note, Todo
from rtfbench.base.errors import InputError, say
from rtfbench.base.files import check_outputs, is_special, reading_from, writing_to
from rtfbench.base.pace import SignOfLife
from rtfbench.extract.cluster import tasks
from rtfbench.extract.cluster.tasks import ANSWER, Extraction, Pace, PaceJob, ShardDone, ShardJob
from rtfbench.extract.local import INTERRUPTED, SOME_FAILED, read_files
from rtfbench.extract.merge import merge
from rtfbench.extract.messages import ExtractionSetup
from rtfbench.extract.options import ExtractOptions, check_batch, jobs_for, setup_for
from rtfbench.extract.report import NS_PER_S, say_on_terminal, while_reading
from rtfbench.extract.result import ResultFile, part_bytes_of
from rtfbench.extract.shards import Manifest, Shard, Unit, edges
from rtfbench.frontends.addresses import Place
from rtfbench.inputs.find import Listing
from rtfbench.inputs.formats import Inputs
from rtfbench.models.facts import facts_of
from rtfbench.report import figures

#: What a shard should take: long against handing it out, short against losing it.
SHARD_S = 120.0
#: For each task that runs at a time at least, so that all end at about the same time.
SHARDS_A_SLOT = 4
#: Names of files have five digits.
MOST_SHARDS = 99_999
#: Utterances whose pace is taken.
PACED = 8
#: All that belongs to a shard: its embeddings, its manifest, and parts of either.
FILES = re.compile(r"\.?(?:\d+\.)?shard-\d{5,}-of-(\d{5,})\..*")


def places(listing: Listing) -> tuple[int, ...]:
    """Return where the utterances are whose pace is taken, all over the list."""
    count = min(PACED, listing.count)
    return tuple(listing.count * i // count for i in range(count))


def shard_count(listing: Listing, pace: Pace, slots: int) -> int:
    """Return into how many shards a list is parted, of which so many are made at a time."""
    wanted = listing.count * pace.wall_s / max(1, pace.embedded) / SHARD_S
    return max(1, min(max(round(wanted), SHARDS_A_SLOT * slots), listing.count, MOST_SHARDS))


def begun(folder: Path) -> int | None:
    """Return of how many shards a folder holds some, None where it holds none.

    Raises:
        InputError: of different numbers, or it cannot be read.
    """
    with reading_from(folder):
        names = [each.name for each in folder.iterdir()] if folder.exists() else []
    found = sorted({int(match[1]) for name in names if (match := FILES.fullmatch(name))})
    if len(found) > 1:
        raise InputError(
            f"{folder}: holds parts of {' and of '.join(map(str, found))} shards; delete those of "
            "one number, or start again with --overwrite"
        )
    return found[0] if found else None


def clear(folder: Path) -> None:
    """Delete all shards of a folder."""
    for path in folder.iterdir():
        if FILES.fullmatch(path.name):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ShardPlan:
    """The shards of a list, and where each begins and ends."""

    listing: Listing
    folder: Path
    ends: Sequence[int]

    @classmethod
    def of(cls, listing: Listing, folder: Path, count: int) -> "ShardPlan":
        """Part a list."""
        return cls(listing, folder, edges(listing, count, range(count + 1)))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def unit(self, number: int) -> Unit:
        """Return the n-th shard, from 1."""
        first, stop = self.ends[number - 1], self.ends[number]
        return Unit(Shard(number=number, of=len(self)), self.listing, first, stop, self.folder)

    def finished(self, setup: ExtractionSetup) -> dict[int, Manifest]:
        """Return number -> what a shard says of itself, of those that a run before has finished.

        Raises:
            InputError: one was of another list or setup.
        """
        numbers = range(1, len(self) + 1)
        found = ((number, self.unit(number).earlier(setup)) for number in numbers)
        return {number: manifest for number, manifest in found if manifest is not None}


def written(unit: Unit) -> int:
    """Return how far a shard is, in bytes: what its next worker goes on from."""
    found = 0
    for path in (unit.result.with_name(f"{unit.result.name}.part"), unit.result):
        try:
            found += path.stat().st_size
        except OSError:
            continue
    return found


class ExtractionProgress:
    """How far an extraction is; what was finished before counts, but not in its pace."""

    def __init__(
        self,
        show: Callable[["ExtractionProgress"], None],
        note: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin; `show` is called whenever something changed, `note` told what is to stay."""
        self._show, self.note, self._clock = show, note, clock
        self._began_s = self._clock()
        self.total = self.entries = self.failures = 0
        self._now = self._embedded = self._audio_ns = 0

    def begin(self, plan: ShardPlan, finished: dict[int, Manifest]) -> None:
        """Take up what there is to do, and what was done before."""
        self.total = plan.listing.count
        self.entries = sum(each.entries for each in finished.values())
        self.failures = sum(len(each.failures) for each in finished.values())
        if finished:
            self.note(f"{len(finished)} of {len(plan)} shards are finished")
        self._began_s = self._clock()
        self._show(self)

    def done(self, shard: ShardDone) -> None:
        """Count a shard."""
        self.entries += shard.entries
        self._now += shard.entries
        self.failures += shard.failures
        self._embedded += shard.embedded
        self._audio_ns += shard.audio_ns
        self._show(self)

    def __str__(self) -> str:
        elapsed_s = max(self._clock() - self._began_s, 1e-9)
        text = f"{self.entries} of {figures.counted(self.total, 'utterance')}"
        if self._now:
            left_s = (self.total - self.entries) * elapsed_s / self._now
            text += (
                f", {figures.number(self._embedded / elapsed_s)} a second, "
                f"{figures.number(self._audio_ns / NS_PER_S / elapsed_s)} x real time"
            )
            if left_s:
                text += f", about {figures.duration(left_s)} left"
        return text + (f", {self.failures} skipped" if self.failures else "")


@contextmanager
def on_stderr() -> Iterator[ExtractionProgress]:
    """Show the course on standard error until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        course = ExtractionProgress(lambda _: None, say)
        with SignOfLife(lambda: say(str(course))).watching():
            yield course
        return
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield ExtractionProgress(
            lambda course: bar.update(
                task, description=str(course), completed=course.entries, total=course.total
            ),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )


def extract_on_cluster(cluster: str, options: ExtractOptions) -> int:
    """Embed every recording on the workers of a cluster and return the exit status.

    The shards go to a folder beside the result, and stay there: whatever ends, what is finished is
    found again.
    """
    jobs, resume, overwrite = options.jobs, options.resume, options.overwrite
    if options.result is None:
        raise InputError("--cluster needs --result, a file on storage that all hosts share")
    if jobs is not None and cluster != LOCAL:
        raise InputError(
            "--jobs is about this machine: the workers of the cluster are there already, and each "
            "of their threads runs one session"
        )
    part_bytes_of(options.part_size, options.result)
    result, worker = options.result.absolute(), options.model.worker
    options = replace(options, inputs=_absolute(options.inputs))
    folder = result.with_name(f"{result.name}.shards")
    _check_result(result, folder, resume=resume, overwrite=overwrite)
    with ExitStack() as stack:
        with while_reading(options.inputs, options.verbosity):
            listing = stack.enter_context(options.inputs.opened())
        for line in listing.notes:
            say(line)
        setup = setup_for(options.model, phase=say_on_terminal, note=say)
        check_batch(setup, worker.batch)
        with while_reading(options.inputs, options.verbosity):
            check_outputs(ResultFile(result).outputs, read_files(listing, options))
        workers = min(jobs or jobs_for(worker.threads), listing.count)
        go_on = f"; {folder} holds what is done, go on with --resume"
        try:
            with connected(cluster, workers=workers) as connection, on_stderr() as course:
                lost = _extract(connection, options, setup, folder, listing, course)
        except KeyboardInterrupt:
            say("interrupted" + go_on)
            return INTERRUPTED
        except ClusterError as error:
            raise InputError(str(error) + go_on) from error
    say(str(course))
    if options.model.remark:
        say(options.model.remark)
    if lost:
        say(f"no result: {len(lost)} shards are missing{go_on}")
        return SOME_FAILED
    return merge(folder, result=result, part_size=options.part_size, overwrite=resume or overwrite)


def _check_result(result: Path, folder: Path, *, resume: bool, overwrite: bool) -> None:
    if result.is_dir():
        raise InputError(f"{result}: is a folder; name a file for --result")
    if is_special(result):
        raise InputError(f"{result}: is no regular file; the shards need a place beside the result")
    if resume or overwrite:
        return
    finished = ResultFile(result).finished
    if finished is not None:
        raise InputError(
            f"{finished}: is there already; compute what it lacks with --resume, or replace it "
            "with --overwrite"
        )
    if begun(folder) is not None:
        raise InputError(
            f"{folder}: left by a run that was interrupted; go on with --resume, or start again "
            "with --overwrite"
        )


def _absolute(inputs: Inputs) -> Inputs:
    """Return the same for workers that are started in other folders."""
    if Path("-") in (inputs.wav_scp, inputs.file):
        raise InputError("standard input is this process's alone: give the cluster a file")
    return replace(
        inputs,
        wav_scp=inputs.wav_scp and _seen_anywhere(inputs.wav_scp),
        segments=inputs.segments and _seen_anywhere(inputs.segments),
        file=inputs.file and _seen_anywhere(inputs.file),
        wavs=[_seen_anywhere(each) for each in inputs.wavs],
    )


def _seen_anywhere(place: Place) -> Place:
    return place.absolute() if isinstance(place, Path) else place


def _extract(
    cluster: Cluster,
    options: ExtractOptions,
    setup: ExtractionSetup,
    folder: Path,
    listing: Listing,
    course: ExtractionProgress,
) -> list[str]:
    """Make every shard of a list that a folder lacks.

    Returns:
        A line for each shard that was given up.

    Raises:
        InputError: a worker is of no use, or the folder holds something else.
        ClusterError: the cluster is gone; what is finished stays.
    """
    with _token(folder) as token:
        extraction = Extraction(
            facts=facts_of(setup.spec),
            setup=setup,
            inputs=options.inputs,
            list_sha256=listing.sha256,
            worker=options.model.worker,
            folder=folder,
            token=token,
        )
        asked = extraction.model_dump(mode="json")
        for worker, unfit in cluster.everywhere(tasks.check, asked).items():
            if unfit:
                why = unfit if isinstance(unfit, str) else "; ".join(unfit)
                raise InputError(f"worker {worker}: {why}")
        if options.overwrite and not options.resume:
            clear(folder)
        count = begun(folder)
        if count is not None and options.shards not in (None, count):
            raise InputError(
                f"{folder}: was begun with {count} shards, not {options.shards}; leave "
                "--shards out, or start again with --overwrite"
            )
        count = count or options.shards or _count(cluster, extraction, listing, course)
        plan = ShardPlan.of(listing, folder, count)
        finished = {
            number: manifest
            for number, manifest in plan.finished(setup).items()
            if not (options.resume and manifest.failures)
        }
        course.begin(plan, finished)
        missing = (number for number in range(1, len(plan) + 1) if number not in finished)
        return _run(cluster, extraction, plan, missing, course)


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


def _count(
    cluster: Cluster, extraction: Extraction, listing: Listing, course: ExtractionProgress
) -> int:
    """Return of how many shards each takes a worker about two minutes.

    Raises:
        InputError: no utterance can be used.
    """
    job = PaceJob(extraction=extraction, places=places(listing))
    executor = cluster.executor(tasks.pace)
    for event in Driver(executor).run([Todo("pace", job.model_dump(mode="json"))]):
        match event:
            case Ended():
                pace = ANSWER.validate_python(event.answer)
                assert isinstance(pace, Pace)
                if not pace.embedded and listing.count > PACED:
                    raise InputError(
                        f"none of {len(pace.failures)} utterances from all over the list can be "
                        f"used; {pace.failures[0]}"
                    )
                return shard_count(listing, pace, sum(executor.workers().values()))
            case Lost():
                raise InputError(event.reason)
            case Note():
                course.note(event.text)
    raise AssertionError("a task neither ended nor was lost")


def _run(
    cluster: Cluster,
    extraction: Extraction,
    plan: ShardPlan,
    numbers: Iterator[int],
    course: ExtractionProgress,
) -> list[str]:
    def todo(number: int) -> Todo:
        unit = plan.unit(number)
        job = ShardJob(extraction=extraction, shard=unit.shard, first=unit.first, stop=unit.stop)
        return Todo(str(number), job.model_dump(mode="json"))

    lost = []
    driver = Driver(cluster.executor(tasks.extract_shard), lambda key: written(plan.unit(int(key))))
    for event in driver.run(map(todo, numbers)):
        match event:
            case Ended():
                answer = ANSWER.validate_python(event.answer)
                assert isinstance(answer, ShardDone)
                course.done(answer)
            case Lost():
                lost.append(f"shard {plan.unit(int(event.key)).shard}: {event.reason}")
                course.note(lost[-1])
            case Note():
                course.note(event.text)
    return lost
