"""What this machine can tell apart: an engine held against itself, and the harness's own cost."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.embed import audio_input
from rtfbench.embed.audio_input import Source, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.null import NullEngine
from rtfbench.engines.protocol import SessionOptions
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.measure.machine import environment
from rtfbench.measure.plan import expand, load_plan
from rtfbench.models.names import default_form
from rtfbench.models.resolve import Asked, resolve
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.workload import Prepared
from rtfbench.results.host import Environment
from rtfbench.results.noise import NOISY_SHARE, SEEN
from rtfbench.results.protocols import STEADY
from rtfbench.results.rows import CellSummary, Noise
from rtfbench.results.store import RunFolder
from rtfbench.results.summary import summarize

#: For this long the sentence says what can be resolved.
STATED_S = 60.0
OVERHEAD_ROUNDS = 50


@dataclass(frozen=True)
class NoiseFloor:
    """An engine held against itself for some time, the harness's cost a chunk, and the host."""

    host: Environment
    row: CellSummary
    noise: Noise
    cost_ns: float
    took_s: float


def noise_floor(
    *,
    model: str,
    engine: str,
    threads: int,
    budget_s: float,
    progress: Progress,
    reading: Reading = AS_IT_SAYS,
) -> NoiseFloor:
    """Measure an engine against itself.

    Raises:
        InputError: the model cannot be measured on the engine.
    """
    flags = {"models": (model,), "engines": (engine,), "threads": (threads,)}
    plan = load_plan(None, flags | {"protocols": (STEADY.name,)})
    resolved = resolve(expand(plan, default_form), asked=Asked(reading=reading))
    for line in resolved.notes:
        progress.note(line)
    sources = tuple(audio_input.check_audio(()).sources)
    host = environment.describe_host(audio=[s.name for s in sources], audio_s=0.0, weights="")
    with (
        TemporaryDirectory(dir=process_folder()) as scratch,
        RunFolder.create(Path(scratch), overwrite=False, resume=False) as folder,
    ):
        context = RunContext(folder=folder, sources=sources, progress=progress)
        prepared = context.prepare_one(resolved)
        took_s = Group([Job.of(prepared)], context).measure_first(
            share_s=budget_s, longest_s=budget_s, sessions=plan.sessions
        )
        summary = summarize(host, list(folder.cells().values()))
    (row,) = summary.cells
    if row.status != "ok" or summary.noise is None:
        raise InputError(f"{engine} on {model}: {row.status}: {row.reason}")
    return NoiseFloor(host, row, summary.noise, measure_cost(prepared, sources[0]), took_s)


def sentences(found: NoiseFloor) -> Iterator[str]:
    """Yield what was found, a line each."""
    row, noise, cost_ns = found.row, found.noise, found.cost_ns
    yield (
        f"{row.title}, {row.engine_label}, {row.threads} thread{'s' * (row.threads > 1)}, against "
        f"itself: {row.sessions} session{'s' * (row.sessions != 1)}, {row.passes} passes in "
        f"{found.took_s:.0f} s of measuring"
    )
    ghost = noise.ghosts[0] if noise.ghosts else None
    if ghost is not None and ghost.ci95 is not None and ghost.half_width is not None:
        low, high = ghost.ci95
        yield f"itself / itself: {ghost.ratio:.4f} ({low:.4f} to {high:.4f})"
        # The width falls with the square root of the time.
        floor = SEEN * ghost.half_width * math.sqrt(found.took_s / STATED_S)
        yield (
            f"two engines that differ by {floor:.1%} or more are told apart in {STATED_S:.0f} s of "
            "measuring, four times in five"
        )
    else:
        yield "too few sessions for an interval; a larger --budget gives it"
    yield noise.sentence
    if noise.timed_share is not None:
        yield f"{noise.timed_share:.0%} of the measuring time lay inside timed slots (aim: 85 %)"
    share = ""
    if row.chunk_ms:
        share = f", {cost_ns / (row.chunk_ms * 1e6):.2%} of a {row.title} chunk (aim: 1 %)"
    yield f"the harness's own cost, front end apart: {cost_ns / 1000:.1f} µs a chunk{share}"
    if noise.disturbed_share is not None and noise.disturbed_share > NOISY_SHARE:
        yield "the machine was disturbed; a quieter hour gives narrower intervals"


def measure_cost(prepared: Prepared, source: Source) -> float:
    """Return the nanoseconds a chunk of cutting, calling and pooling, where nothing is computed."""
    assert prepared.artifact is not None
    session = NullEngine().open(prepared.artifact, SessionOptions())
    pipeline = Pipeline.for_model(prepared.artifact, prepared.cell.chunk_samples)
    waveform = read_source(source, pipeline.sample_rate_hz)
    rounds = [pipeline.embed(session, waveform) for _ in range(OVERHEAD_ROUNDS)]
    return statistics.median(
        (each.processing_ns - each.frontend_ns) / len(each.chunk_ns) for each in rounds
    )
