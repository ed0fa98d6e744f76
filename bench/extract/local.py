"""An extraction on this machine, from its options to its result."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TextIO

from rtfbench.base.child import Started
from rtfbench.base.core_count import cores_here
from rtfbench.base.errors import InputError, say
from rtfbench.base.files import check_outputs, check_room, is_special
from rtfbench.base.limits import MOST_JOBS_A_CORE
from rtfbench.embed.embeddings import Named, text_line
from rtfbench.extract import report
from rtfbench.extract.messages import Embedding
from rtfbench.extract.options import ExtractOptions, jobs_for, setup_for, workers
from rtfbench.extract.pool import ExtractError, Finished
from rtfbench.extract.result import Remaining, ResultFile, part_bytes_of
from rtfbench.extract.shards import Manifest, Unit
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.find import Listing

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def extract_here(options: ExtractOptions, ahead: Started | None = None) -> int:
    """Embed every recording and return the exit status; `ahead` becomes the first worker."""
    result, jobs, worker = options.result, options.jobs, options.model.worker
    resume, overwrite = options.resume, options.overwrite
    here = cores_here()
    most = MOST_JOBS_A_CORE * here.count
    if jobs is not None and jobs > most:
        raise InputError(f"--jobs {jobs}: {here.told()}; take {most} or fewer")
    with ExitStack() as stack:
        with report.while_reading(options.inputs, options.verbosity):
            listing = stack.enter_context(options.inputs.opened())
            unit = Unit.of(options.shard, listing, result) if options.shard is not None else None
        for line in listing.notes:
            say(line)
        if unit is not None:
            listing, result = unit.listing, unit.result
        if result is None and (resume or overwrite):
            raise InputError("--resume and --overwrite need --result: they are about a file")
        special = result if result is not None and is_special(result) else None
        if options.part_size is not None and (unit is not None or special is not None):
            raise InputError("--part-size is about one result that is a file: leave it out")
        if special is not None and (resume or overwrite):
            raise InputError(f"{result}: is no regular file: there is nothing to resume or replace")
        part_bytes = part_bytes_of(options.part_size, result)
        setup = setup_for(options.model, phase=report.say_on_terminal, note=say)
        if unit is not None and not overwrite:
            earlier = unit.earlier(setup)
            if earlier is not None and not (resume and earlier.failures):
                return _finished_before(earlier)
        lines = stack.enter_context(special.open("w", encoding="utf-8")) if special else sys.stdout
        file = None
        if result and not special:
            file = stack.enter_context(
                ResultFile(
                    result,
                    part_bytes=part_bytes,
                    keeps_origins=unit is not None,
                    list_sha256=unit.whole.sha256 if unit is not None else "",
                )
            )
        with report.while_reading(options.inputs, options.verbosity):
            if file is not None:
                check_outputs(file.outputs, read_files(listing, options))
            present = file.begin(setup, resume=resume, overwrite=overwrite) if file else None
            todo = Remaining(listing, present)
        if file is not None:
            room_bytes = file.room_bytes(todo.count, setup.artifact.embedding_dim)
            what = f"a result of {todo.count} embeddings"
            check_room(file.path, room_bytes, what=what, named_by="--result")
        told = stack.enter_context(report.on_stderr(todo.count, options.verbosity))
        tally = report.Tally(sample_rate_hz=setup.front_end.sample_rate_hz)
        began_s = time.monotonic()
        jobs = min(jobs or jobs_for(worker.threads), todo.count)
        stopped = failed = ""
        try:
            with workers(setup, worker, jobs=jobs, ahead=ahead) as pool:
                for finished in pool.embed(todo):
                    _write(finished, file or lines)
                    if unit is not None:
                        unit.add(finished)
                    told.finished(finished, tally)
                    if options.strict and tally.skipped:
                        stopped = "stopped at the first failure (--strict)"
                        break
        except KeyboardInterrupt:
            stopped = "interrupted"
        except (ExtractError, AudioError) as error:
            failed = str(error)
        for line in tally.lines(time.monotonic() - began_s, jobs):
            told.note(line)
        if tally.done and options.model.remark:
            told.note(options.model.remark)
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


def _finished_before(manifest: Manifest) -> int:
    """Say that a shard needs no work, so that a job that is started again costs nothing."""
    failed = len(manifest.failures)
    again = f", {failed} skipped: --resume tries them again" if failed else ""
    say(f"shard {manifest.shard} is finished: {manifest.done} embeddings{again}")
    return SOME_FAILED if failed else OK


def read_files(listing: Listing, options: ExtractOptions) -> Iterator[Path]:
    """Yield every file here that is read; a million recordings are asked for one at a time."""
    inputs = options.inputs
    named = (inputs.wav_scp, inputs.segments, inputs.file, Path(options.model.model))
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
