"""`rtfbench extract` and `rtfbench verify`."""

import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.cache import cache_folder
from bench.child import ChildError
from bench.embeddings import Named, text_line
from bench.environment import usable_cores
from bench.errors import InputError
from bench.extract.listing import Listing, from_list, from_paths
from bench.extract.messages import Embedding, Setting, Unusable
from bench.extract.pool import ExtractError, Finished, Pool
from bench.extract.result import Present, ResultFile
from bench.pipeline import chunk_samples_for
from bench.plan import parse_engine
from bench.report import figures
from bench.scoring import similarity
from bench.workload import artifact_for
from engines import registry
from engines.protocol import EngineError, FloatArray, Form, SessionOptions, chosen
from frontends.audio import AudioError
from frontends.chunking import ChunkPolicy
from frontends.find import Utterance

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
SAME, DIFFERENT = 0, 1
NS_PER_S = 1e9
#: Names that the summary repeats, so that the end of a long log says what to look at.
NAMES_SHOWN = 5


@dataclass(frozen=True)
class ModelOptions:
    """The options that say what computes an embedding; both commands have them."""

    model: str
    engine: str | None
    form: Form | None
    chunk_samples: int
    threads: int
    channel: int | None = None
    resample: bool = False


class Report(Protocol):
    """Where an extraction tells how it goes."""

    def line(self, text: str) -> None:
        """Say something that stays."""
        ...

    def advance(self) -> None:
        """One more utterance is done."""
        ...


@dataclass
class Tally:
    """What an extraction amounts to so far."""

    done: int = 0
    audio_ns: int = 0
    processing_ns: int = 0
    skipped: int = 0
    first_skipped: list[str] = field(default_factory=list)

    def add(self, answer: Embedding | Unusable, name: str) -> None:
        """Count an utterance."""
        if isinstance(answer, Embedding):
            self.done += 1
            self.audio_ns += answer.audio_ns
            self.processing_ns += answer.processing_ns
        else:
            self.skipped += 1
            if len(self.first_skipped) < NAMES_SHOWN:
                self.first_skipped.append(name)


def extract(
    options: ModelOptions,
    *,
    wav_scp: Path | None,
    wavs: Sequence[Path],
    result: Path | None,
    jobs: int,
    timeout_s: float | None,
    strict: bool,
    resume: bool,
    overwrite: bool,
) -> int:
    """Embed every recording and return the exit status."""
    listing = _listing(wav_scp, wavs)
    if result is None and (resume or overwrite):
        raise InputError("--resume and --overwrite need --result: they are about a file")
    with ExitStack() as stack:
        setting = _setting(options)
        file = stack.enter_context(ResultFile(result)) if result else None
        present = file.begin(setting, resume=resume, overwrite=overwrite) if file else None
        todo = _Todo(listing, present)
        report = stack.enter_context(_report(todo.count))
        tally, began_s = Tally(), time.monotonic()
        workers = min(jobs, todo.count)
        interrupted = stopped = False
        try:
            if todo.count:
                pool = stack.enter_context(_pool(setting, options, workers, timeout_s, stack))
                for finished in pool.embed(todo):
                    _take(finished, file, tally, report)
                    if strict and tally.skipped:
                        stopped = True
                        break
        except KeyboardInterrupt:
            interrupted = True
        except ExtractError as error:
            _say_total(report, tally, time.monotonic() - began_s, workers)
            raise InputError(f"{error}{_go_on(file)}") from error
        _say_total(report, tally, time.monotonic() - began_s, workers)
        if interrupted or stopped:
            reason = "interrupted" if interrupted else "stopped at the first failure (--strict)"
            report.line(f"{reason}{_go_on(file)}")
            return INTERRUPTED if interrupted else SOME_FAILED
        if file is not None:
            made = file.finish(None if todo.in_order else listing.names())
            report.line(f"results: {file.path}" if made else "no embedding: no result is written")
    return SOME_FAILED if tally.skipped else OK


def verify(options: ModelOptions, *, enroll: Path, test: Path, threshold: float) -> int:
    """Compare two recordings, print score and decision, and return the exit status."""
    utterances = [Utterance("enroll", enroll), Utterance("test", test)]
    embeddings: list[FloatArray] = []
    with ExitStack() as stack:
        setting = _setting(options)
        pool = stack.enter_context(_pool(setting, options, 1, None, stack))
        try:
            for utterance, answer in pool.embed(utterances):
                if isinstance(answer, Unusable):
                    raise InputError(f"{utterance.name} recording: {answer.reason}")
                embeddings.append(_vector(answer))
        except ExtractError as error:
            raise InputError(str(error)) from error
    score = similarity(*embeddings)
    same = score >= threshold
    decision = "same speaker" if same else "different speakers"
    print(f"score {score:.6f}, threshold {threshold:g}: {decision}")
    return SAME if same else DIFFERENT


class _Todo:
    """The utterances that a result lacks; reading them again starts again."""

    def __init__(self, listing: Listing, present: Present | None) -> None:
        self._listing, self._present = listing, present
        self.count, self.in_order = listing.count, True
        if present is not None:
            self._compare(present)

    def __iter__(self) -> Iterator[Utterance]:
        for utterance in self._listing.utterances():
            if self._present is None or self._present.offset(utterance.name) is None:
                yield utterance

    def _compare(self, present: Present) -> None:
        """Count what is missing, and find out whether appending it keeps the list's order."""
        found, last_offset, missing = 0, -1, 0
        for name in self._listing.names():
            offset = present.offset(name)
            if offset is None:
                missing += 1
                continue
            found += 1
            self.in_order &= offset > last_offset and not missing
            last_offset = offset
        if found != len(present):
            listed = set(self._listing.names())
            stranger = next(name for name in present.names() if name not in listed)
            raise InputError(
                f"{present.path}: holds utterance {stranger!r}, which the list does not name; "
                "take the list that it was begun with, or start again with --overwrite"
            )
        self.count = missing


def _listing(wav_scp: Path | None, wavs: Sequence[Path]) -> Listing:
    if (wav_scp is None) == (not wavs):
        raise InputError("name recordings with --wav-scp LIST or with --wav PATH, one of the two")
    try:
        return from_list(wav_scp) if wav_scp is not None else from_paths(wavs)
    except AudioError as error:
        raise InputError(str(error)) from error


def _setting(options: ModelOptions) -> Setting:
    """Return what computes the embeddings, the model file made if need be."""
    try:
        ChunkPolicy(options.chunk_samples)
        spec = parse_engine(options.engine or _default_engine(options.model))
        chosen(registry.get(spec.name), SessionOptions(options.threads, spec.settings))
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from error
    if options.threads > len(usable_cores()):
        raise InputError(
            f"--threads {options.threads}: this process may use {len(usable_cores())} cores"
        )
    logs = cache_folder() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        artifact = artifact_for(
            options.model,
            spec.name,
            form=options.form,
            chunk_samples=options.chunk_samples,
            logs=logs,
            phase=_say,
        )
    except ChildError as error:
        raise InputError(f"{options.model}: {error}") from error
    chunk_samples = chunk_samples_for(artifact, options.chunk_samples)
    if chunk_samples != options.chunk_samples:
        _say(f"{artifact.name} is static: chunks of {artifact.num_frames} frames ({chunk_samples})")
    return Setting(
        artifact=artifact,
        engine=spec.name,
        settings=spec.settings,
        chunk_samples=chunk_samples,
        channel=options.channel,
        resample=options.resample,
    )


def _default_engine(model: str) -> str:
    return "onnxruntime" if Path(model).suffix == ".onnx" else "mnn"


def _pool(
    setting: Setting,
    options: ModelOptions,
    jobs: int,
    timeout_s: float | None,
    stack: ExitStack,
) -> Pool:
    logs = stack.enter_context(tempfile.TemporaryDirectory(prefix="rtfbench-"))
    return Pool(
        setting,
        jobs=jobs,
        threads=options.threads,
        cores=usable_cores(),
        logs=Path(logs),
        timeout_s=timeout_s,
    )


def _take(finished: Finished, file: ResultFile | None, tally: Tally, report: Report) -> None:
    """Write an embedding down and say what it took, or why there is none."""
    name, answer = finished.utterance.name, finished.answer
    tally.add(answer, name)
    if isinstance(answer, Embedding):
        named = Named(name, _vector(answer))
        if file is not None:
            file.append(named)
        else:
            sys.stdout.write(text_line(named))
            sys.stdout.flush()
        rtf = answer.processing_ns / answer.audio_ns
        report.line(f"{name}: RTF {figures.rtf(rtf)} ({answer.audio_ns / NS_PER_S:.2f} s)")
    else:
        report.line(f"rtfbench: utterance {name}: {answer.reason}")
    report.advance()


def _vector(answer: Embedding) -> FloatArray:
    return np.frombuffer(base64.b64decode(answer.embedding), np.float32)


def _say_total(report: Report, tally: Tally, wall_s: float, jobs: int) -> None:
    audio_s, processing_s = tally.audio_ns / NS_PER_S, tally.processing_ns / NS_PER_S
    if tally.done:
        report.line(
            f"{tally.done} utterances: RTF {figures.rtf(processing_s / audio_s)} "
            f"({processing_s:.2f} s of processing for {audio_s:.2f} s of audio), "
            f"{figures.number(audio_s / wall_s)} x real time on {jobs} job{'s' * (jobs > 1)}"
        )
    if tally.skipped:
        more = tally.skipped - len(tally.first_skipped)
        names = ", ".join(tally.first_skipped) + (f" and {more} more" if more else "")
        report.line(f"{tally.skipped} of {tally.done + tally.skipped} skipped: {names}")


def _go_on(file: ResultFile | None) -> str:
    if file is None or file.is_empty:
        return ""
    return f"; {file.part} holds what is done, go on with --resume"


@dataclass(frozen=True)
class _StderrReport:
    """Lines on standard error, above a bar where that is a terminal."""

    print_line: Callable[[str], None]
    advance: Callable[[], None]

    def line(self, text: str) -> None:
        """Say something that stays."""
        self.print_line(text)


@contextmanager
def _report(total: int) -> Iterator[Report]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _StderrReport(_say, lambda: None)
        return
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    eta = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *eta, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield _StderrReport(
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
            lambda: bar.advance(task),
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
