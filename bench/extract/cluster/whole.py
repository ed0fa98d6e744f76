"""An extraction on a cluster, from its options to its result.

How it goes on is told on standard error: one bar, or a line a minute.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rtfbench.base.cluster.dask_cluster import LOCAL, connected
from rtfbench.base.cluster.driver import ClusterError
from rtfbench.base.errors import InputError, say
from rtfbench.base.files import check_outputs, is_special
from rtfbench.base.sign_of_life import SignOfLife
from rtfbench.extract.cluster import shard_plan
from rtfbench.extract.cluster.extraction import ExtractionOrder, extract_on
from rtfbench.extract.cluster.jobs import ShardDone
from rtfbench.extract.cluster.shard_plan import ShardPlan
from rtfbench.extract.local import INTERRUPTED, SOME_FAILED, read_files
from rtfbench.extract.merge import merge
from rtfbench.extract.options import ExtractOptions, check_batch, jobs_for, setup_for
from rtfbench.extract.report import NS_PER_S, say_on_terminal, while_reading
from rtfbench.extract.result import ResultFile, part_bytes_of
from rtfbench.extract.shards import Manifest
from rtfbench.frontends.addresses import Place
from rtfbench.inputs.formats import Inputs
from rtfbench.report import figures


class ExtractionProgress:
    """How far an extraction is; what was finished before counts, but not in its pace."""

    def __init__(
        self,
        show: Callable[["ExtractionProgress"], None],
        note: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            show: is called whenever something changed.
            note: is told what is to stay.
            clock: monotonic seconds.
        """
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
        wanted = ExtractionOrder(
            setup=setup,
            inputs=options.inputs,
            worker=worker,
            folder=folder,
            shards=options.shards,
            again=resume,
            fresh=overwrite and not resume,
        )
        go_on = f"; {folder} holds what is done, go on with --resume"
        try:
            with connected(cluster, workers=workers) as connection, on_stderr() as course:
                lost = extract_on(connection, wanted, listing, course)
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
    if shard_plan.begun(folder) is not None:
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
