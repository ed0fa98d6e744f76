"""`rtfbench extract`."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench.base.errors import InputError
from bench.embed.embeddings import Named, text_line
from bench.extract import report
from bench.extract.listing import Todo
from bench.extract.messages import Embedding
from bench.extract.options import SEEDED, ModelOptions, setup_for, workers
from bench.extract.pool import ExtractError, Finished
from bench.extract.result import ResultFile
from bench.extract.shards import Manifest, Unit
from bench.inputs.formats import Inputs
from frontends.audio import AudioError

OK, SOME_FAILED, INTERRUPTED = 0, 1, 130


def extract(
    options: ModelOptions,
    inputs: Inputs,
    *,
    result: Path | None,
    shard: str | None,
    jobs: int,
    timeout_s: float | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
) -> int:
    """Embed every recording and return the exit status."""
    with ExitStack() as stack:
        listing = stack.enter_context(inputs.opened())
        unit = Unit.of(shard, listing, result) if shard is not None else None
        if unit is not None:
            listing, result = unit.listing, unit.result
        if result is None and (resume or overwrite):
            raise InputError("--resume and --overwrite need --result: they are about a file")
        setup = setup_for(options, phase=report.say_on_terminal, note=report.say)
        if unit is not None and not overwrite:
            earlier = unit.earlier(setup)
            if earlier is not None and not (resume and earlier.failures):
                return _finished_before(earlier)
        file = stack.enter_context(ResultFile(result)) if result else None
        present = file.begin(setup, resume=resume, overwrite=overwrite) if file else None
        todo = Todo(listing, present)
        told = stack.enter_context(report.on_stderr(todo.count))
        tally, began_s = report.Tally(), time.monotonic()
        jobs = min(jobs, todo.count)
        stopped = failed = ""
        try:
            with workers(setup, options, jobs=jobs, timeout_s=timeout_s) as pool:
                for finished in pool.embed(todo):
                    _write(finished, file)
                    if unit is not None:
                        unit.add(finished)
                    told.line(tally.add(finished))
                    told.advance()
                    if strict and tally.skipped:
                        stopped = "stopped at the first failure (--strict)"
                        break
        except KeyboardInterrupt:
            stopped = "interrupted"
        except (ExtractError, AudioError) as error:
            failed = str(error)
        for line in tally.lines(time.monotonic() - began_s, jobs):
            told.line(line)
        if tally.done and not options.knows_speakers:
            told.line(SEEDED)
        if failed:
            raise InputError(failed + _go_on(file))
        if stopped:
            told.line(stopped + _go_on(file))
            return INTERRUPTED if stopped == "interrupted" else SOME_FAILED
        if file is not None:
            made = file.finish(None if todo.in_order else listing.names())
            told.line(f"results: {file.path}" if made else "no embedding: no result is written")
            if unit is not None:
                unit.finish(setup)
    return SOME_FAILED if tally.skipped else OK


def _finished_before(manifest: Manifest) -> int:
    """Say that a shard needs no work, so that a job that is started again costs nothing."""
    failed = len(manifest.failures)
    again = f", {failed} skipped: --resume tries them again" if failed else ""
    report.say(f"shard {manifest.shard} is finished: {manifest.done} embeddings{again}")
    return SOME_FAILED if failed else OK


def _write(finished: Finished, file: ResultFile | None) -> None:
    if isinstance(finished.answer, Embedding):
        named = Named(finished.utterance.name, finished.answer.values_D)
        if file is not None:
            file.append(named)
        else:
            sys.stdout.write(text_line(named))
            sys.stdout.flush()


def _go_on(file: ResultFile | None) -> str:
    if file is None or file.is_empty:
        return ""
    return f"; {file.part} holds what is done, go on with --resume"
