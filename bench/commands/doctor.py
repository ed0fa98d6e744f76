"""`rtfbench doctor`: what this machine can resolve, what the harness costs, what would help."""

import math
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base.errors import InputError
from bench.base.scratch import process_folder
from bench.commands.progress import progress_on_stderr
from bench.embed import audio_input
from bench.embed.audio_input import Source, read_source
from bench.embed.pipeline import Pipeline
from bench.machine import advice, environment
from bench.machine.cores import usable_cores
from bench.measure.context import RunContext
from bench.measure.group import Group
from bench.measure.job import Job
from bench.models.names import default_form
from bench.models.resolve import resolve
from bench.models.workload import Prepared
from bench.plan.plan_files import load_plan
from bench.plan.sweep import expand
from bench.report import markdown
from bench.report.terminal import Output
from bench.results.noise import NOISY_SHARE
from bench.results.rows import Noise, Summary
from bench.results.store import RunFolder
from bench.results.summary import summarize
from engines.null import NullEngine
from engines.protocol import SessionOptions

OK, CONTAMINATED = 0, 1
#: For this long the sentence says what can be resolved.
STATED_S = 60.0
OVERHEAD_ROUNDS = 50


@dataclass(frozen=True)
class Cost:
    """What the harness itself takes: nanoseconds a chunk, and of a chunk of the model's."""

    chunk_ns: float
    share: float | None


def doctor(*, model: str, engine: str, threads: int, budget_s: float) -> int:
    """Measure, print what was found, and return the exit status: 1 where twins looked different."""
    machine = advice.read_settings(usable_cores(), load_average_1min=os.getloadavg()[0])
    flags = {"models": (model,), "engines": (engine,), "threads": (threads,)}
    plan = load_plan(None, flags | {"protocols": ("steady",)})
    resolved = resolve(expand(plan, default_form))
    sources = tuple(audio_input.check_audio(()).sources)
    host = environment.describe_host(audio=[s.name for s in sources], audio_s=0.0, weights="")
    with (
        TemporaryDirectory(dir=process_folder()) as scratch,
        RunFolder.create(Path(scratch), overwrite=False, resume=False) as folder,
    ):
        with progress_on_stderr() as progress:
            context = RunContext(folder=folder, sources=sources, progress=progress)
            prepared = context.prepare_one(resolved)
            job = Job.of(prepared)
            took_s = Group([job], context).measure_first(
                share_s=budget_s, longest_s=budget_s, sessions=plan.sessions
            )
        summary = summarize(host, list(folder.cells().values()))
    (row,) = summary.cells
    if row.status != "ok" or summary.noise is None:
        raise InputError(f"{engine} on {model}: {row.status}: {row.reason}")
    cost = measure_cost(prepared, sources[0], row.chunk_ms)
    output = Output()
    output.print(markdown.host(host))
    for line in markdown.machine(host.host) if host.host else ():
        output.print(line)
    for line in report(summary, summary.noise, cost, took_s):
        output.print(line)
    for text in advice.advise(machine):
        output.print(f"- {text}")
    return CONTAMINATED if summary.noise.contaminated else OK


def report(summary: Summary, noise: Noise, cost: Cost, took_s: float) -> Iterator[str]:
    """Yield what was found, a line each."""
    (row,) = summary.cells
    yield (
        f"{row.title}, {row.engine_label}, {row.threads} thread{'s' * (row.threads > 1)}, against "
        f"itself: {row.sessions} sessions, {row.passes} passes in {took_s:.0f} s of measuring"
    )
    ghost = noise.ghosts[0] if noise.ghosts else None
    if ghost is not None and ghost.ci95 is not None and ghost.half_width is not None:
        low, high = ghost.ci95
        yield f"itself / itself: {ghost.ratio:.4f} ({low:.4f} to {high:.4f})"
        # The width falls with the square root of the time.
        floor = ghost.half_width * math.sqrt(took_s / STATED_S)
        yield f"this machine resolves ratios of {floor:.1%} in {STATED_S:.0f} s of measuring two"
    else:
        yield "too few sessions for an interval; a larger --budget gives it"
    yield noise.sentence
    if noise.timed_share is not None:
        yield f"{noise.timed_share:.0%} of the measuring time lay inside timed slots (aim: 85 %)"
    share = "" if cost.share is None else f", {cost.share:.2%} of a {row.title} chunk (aim: 1 %)"
    yield f"the harness's own cost, front end apart: {cost.chunk_ns / 1000:.1f} µs a chunk{share}"
    if noise.disturbed_share is not None and noise.disturbed_share > NOISY_SHARE:
        yield "the machine was disturbed; a quieter hour gives narrower intervals"


def measure_cost(prepared: Prepared, source: Source, chunk_ms: float | None) -> Cost:
    """Return what cutting, calling and pooling take where the engine computes nothing."""
    assert prepared.artifact is not None
    session = NullEngine().open(prepared.artifact, SessionOptions())
    pipeline = Pipeline.for_model(prepared.artifact, prepared.cell.chunk_samples)
    waveform = read_source(source)
    costs_ns = []
    for _ in range(OVERHEAD_ROUNDS):
        embedded = pipeline.embed(session, waveform)
        own_ns = embedded.processing_ns - embedded.frontend_ns
        costs_ns.append(own_ns / len(embedded.chunk_ns))
    chunk_ns = statistics.median(costs_ns)
    return Cost(chunk_ns, chunk_ns / (chunk_ms * 1e6) if chunk_ms else None)
