"""`rtfbench extract --cluster`."""

from dataclasses import replace
from pathlib import Path

from bench.base.errors import InputError
from bench.base.outputs import check_outputs, is_special
from bench.cluster import shard_plan
from bench.cluster.dask_cluster import LOCAL, connected
from bench.cluster.executor import ClusterError
from bench.cluster.extraction import Wanted, extract_on
from bench.cluster.progress import on_stderr
from bench.commands.extract import INTERRUPTED, SOME_FAILED, part_bytes_of, read_files
from bench.commands.merge import merge
from bench.extract.options import SEEDED, ModelOptions, check_batch, jobs_for, setup_for
from bench.extract.report import say, say_on_terminal
from bench.extract.result import ResultFile
from bench.inputs.formats import Inputs
from frontends.addresses import Place


def extract_on_cluster(
    cluster: str,
    options: ModelOptions,
    inputs: Inputs,
    *,
    result: Path | None,
    part_size: str | None,
    shards: int | None,
    jobs: int | None,
    batch: int,
    timeout_s: float | None,
    max_rss_mb: float | None,
    resume: bool,
    overwrite: bool,
) -> int:
    """Embed every recording on the workers of a cluster and return the exit status.

    The shards go to a folder beside the result, and stay there: whatever ends, what is finished is
    found again.
    """
    if result is None:
        raise InputError("--cluster needs --result, a file on storage that all hosts share")
    if jobs is not None and cluster != LOCAL:
        raise InputError(
            "--jobs is about this machine: the workers of the cluster are there already, and each "
            "of their threads runs one session"
        )
    part_bytes_of(part_size, result)
    inputs, result = _absolute(inputs), result.absolute()
    folder = result.with_name(f"{result.name}.shards")
    _check_result(result, folder, resume=resume, overwrite=overwrite)
    with inputs.opened() as listing:
        setup = setup_for(options, phase=say_on_terminal, note=say, max_rss_mb=max_rss_mb)
        check_batch(setup, batch)
        check_outputs(ResultFile(result).outputs, read_files(listing, inputs, options))
        workers = min(jobs or jobs_for(options.threads), listing.count)
        wanted = Wanted(
            setup=setup,
            inputs=inputs,
            threads=options.threads,
            batch=batch,
            timeout_s=timeout_s,
            max_rss_mb=max_rss_mb,
            folder=folder,
            shards=shards,
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
    if not options.knows_speakers:
        say(SEEDED)
    if lost:
        say(f"no result: {len(lost)} shards are missing{go_on}")
        return SOME_FAILED
    return merge(folder, result=result, part_size=part_size, overwrite=resume or overwrite)


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
