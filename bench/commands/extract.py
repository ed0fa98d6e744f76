"""`rtfbench extract`."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TextIO

from bench.base.core_count import cores_here
from bench.base.disk import check_room
from bench.base.errors import InputError
from bench.base.limits import MOST_JOBS_A_CORE
from bench.base.outputs import check_outputs, is_special
from bench.base.sizes import parse_size
from bench.embed.embeddings import Named, text_line, writer_for
from bench.extract import report
from bench.extract.listing import Todo
from bench.extract.messages import Embedding
from bench.extract.options import SEEDED, ModelOptions, jobs_for, setup_for, workers
from bench.extract.pool import ExtractError, Finished
from bench.extract.result import ResultFile
from bench.extract.shards import Manifest, Unit
from bench.inputs.formats import Inputs
from bench.inputs.listing import Listing
from frontends.audio import AudioError

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def extract(
    options: ModelOptions,
    inputs: Inputs,
    *,
    result: Path | None,
    part_size: str | None,
    shard: str | None,
    jobs: int | None,
    batch: int,
    timeout_s: float,
    max_rss_mb: float | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
    wanted: report.Wanted,
) -> int:
    """Embed every recording and return the exit status.

    Without a number of `jobs`, there are as many as the cores are enough for.
    """
    here = cores_here()
    most = MOST_JOBS_A_CORE * here.count
    if jobs is not None and jobs > most:
        raise InputError(
            f"--jobs {jobs}: this process may use {here.told(here.count)}; take {most} or fewer"
        )
    with ExitStack() as stack:
        listing = stack.enter_context(inputs.opened())
        unit = Unit.of(shard, listing, result) if shard is not None else None
        if unit is not None:
            listing, result = unit.listing, unit.result
        if result is None and (resume or overwrite):
            raise InputError("--resume and --overwrite need --result: they are about a file")
        special = result if result is not None and is_special(result) else None
        if part_size is not None and (unit is not None or special is not None):
            raise InputError("--part-size is about one result that is a file: leave it out")
        if special is not None and (resume or overwrite):
            raise InputError(f"{result}: is no regular file: there is nothing to resume or replace")
        part_bytes = part_bytes_of(part_size, result)
        setup = setup_for(
            options, phase=report.say_on_terminal, note=report.say, max_rss_mb=max_rss_mb
        )
        if unit is not None and not overwrite:
            earlier = unit.earlier(setup)
            if earlier is not None and not (resume and earlier.failures):
                return _finished_before(earlier)
        lines = stack.enter_context(special.open("w", encoding="utf-8")) if special else sys.stdout
        file = None
        if result and not special:
            file = stack.enter_context(
                ResultFile(result, part_bytes=part_bytes, keeps_origins=unit is not None)
            )
        if file is not None:
            check_outputs(file.outputs, read_files(listing, inputs, options))
        present = file.begin(setup, resume=resume, overwrite=overwrite) if file else None
        todo = Todo(listing, present)
        if file is not None:
            room_bytes = file.room_bytes(todo.count, setup.artifact.embedding_dim)
            what = f"a result of {todo.count} embeddings"
            check_room(file.path, room_bytes, what=what, named_by="--result")
        told = stack.enter_context(report.on_stderr(todo.count, wanted))
        tally, began_s = report.Tally(), time.monotonic()
        jobs = min(jobs or jobs_for(options.threads), todo.count)
        stopped = failed = ""
        try:
            with workers(
                setup,
                options,
                jobs=jobs,
                batch=batch,
                timeout_s=timeout_s,
                max_rss_mb=max_rss_mb,
            ) as pool:
                for finished in pool.embed(todo):
                    _write(finished, file or lines)
                    if unit is not None:
                        unit.add(finished)
                    told.finished(finished, tally)
                    if strict and tally.skipped:
                        stopped = "stopped at the first failure (--strict)"
                        break
        except KeyboardInterrupt:
            stopped = "interrupted"
        except (ExtractError, AudioError) as error:
            failed = str(error)
        for line in tally.lines(time.monotonic() - began_s, jobs):
            told.note(line)
        if tally.done and not options.knows_speakers:
            told.note(SEEDED)
        if failed:
            raise InputError(failed + _go_on(file))
        if stopped:
            told.line(stopped + _go_on(file))
            return INTERRUPTED if stopped == "interrupted" else SOME_FAILED
        if file is not None:
            made = file.finish(None if todo.in_order else listing.names())
            if made:
                told.note(f"results: {file.path}")
            else:
                told.line("no embedding: no result is written")
            if unit is not None:
                unit.finish(setup)
    return SOME_FAILED if tally.skipped else OK


def part_bytes_of(part_size: str | None, result: Path | None) -> int | None:
    """Return how large the parts of a result are, None where it is one file.

    Raises:
        InputError: it is no size, or the result is of a kind that has no parts.
    """
    if part_size is None:
        return None
    if result is None:
        raise InputError("--part-size needs --result: it is about a file")
    part_bytes = parse_size(part_size, "--part-size")
    writer_for(result, part_bytes)
    return part_bytes


def _finished_before(manifest: Manifest) -> int:
    """Say that a shard needs no work, so that a job that is started again costs nothing."""
    failed = len(manifest.failures)
    again = f", {failed} skipped: --resume tries them again" if failed else ""
    report.say(f"shard {manifest.shard} is finished: {manifest.done} embeddings{again}")
    return SOME_FAILED if failed else OK


def read_files(listing: Listing, inputs: Inputs, options: ModelOptions) -> Iterator[Path]:
    """Yield every file here that is read; a million recordings are asked for one at a time."""
    named = (inputs.wav_scp, inputs.segments, inputs.file, Path(options.model))
    places = chain(named, (utterance.path for utterance in listing.utterances()))
    yield from (place for place in places if isinstance(place, Path))


def _write(finished: Finished, out: ResultFile | TextIO) -> None:
    if isinstance(finished.answer, Embedding):
        named = Named(finished.utterance.name, finished.answer.values_D)
        if isinstance(out, ResultFile):
            out.append(named, finished.origin)
        else:
            out.write(text_line(named))
            out.flush()


def _go_on(file: ResultFile | None) -> str:
    if file is None or file.is_empty:
        return ""
    return f"; {file.part} holds what is done, go on with --resume"
