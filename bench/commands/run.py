"""`rtfbench run`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.commands.progress import complain, progress_on_stderr, say
from bench.commands.report import read_summary, to_json, write_page
from bench.embed import audio_input, trial_check
from bench.machine import environment
from bench.measure.runner import Runner
from bench.measure.schedule import draw_seed
from bench.measure.session import RunContext
from bench.models import homes
from bench.models.names import default_form
from bench.models.resolve import Asked, Resolved, resolve
from bench.plan.plan_files import load_plan
from bench.plan.sweep import Plan, expand
from bench.report import markdown, terminal
from bench.results.rows import Summary
from bench.results.store import ENVIRONMENT, SUMMARY, TABLE, TRIALS, RunFolder

#: A worker takes about so long to start and to load.
START_S = 0.7
OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

SEEDED_WEIGHTS = (
    "seeded, not trained: speed and parity are real, the embeddings tell no speakers apart."
)
FILE_WEIGHTS = "those of the model files."
MIXED_WEIGHTS = f"{FILE_WEIGHTS[:-1]}; models of the catalog: {SEEDED_WEIGHTS}"


@dataclass(frozen=True)
class MeasuredRun:
    """A run that ended: its folder, its result and the exit status that it calls for."""

    folder: RunFolder
    summary: Summary
    status: int


def run(
    plan_path: Path | None,
    flags: dict[str, Any],
    *,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    thorough: bool = False,
    libraries: Mapping[str, Path | None] | None = None,
) -> int:
    """Run a sweep, print its tables, and return the exit status.

    `libraries` are the folders that options name, by the engines that they are for.
    """
    plan = load_plan(plan_path, flags)
    if thorough:
        plan = plan.thorough()
    engines = [spec for axes in plan.sweeps for spec in axes.engines]
    resolved = resolve(
        expand(plan, default_form),
        folders=homes.named(engines, libraries),
        asked=Asked(
            input_name=plan.input,
            output_name=plan.output,
            reference=plan.reference,
            sizes=any("chunk_samples" in axes.model_fields_set for axes in plan.sweeps),
            forms=any(axes.forms for axes in plan.sweeps),
        ),
        phase=say,
    )
    measured = measure(
        plan,
        resolved,
        out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}",
        overwrite=overwrite,
        resume=resume,
    )
    terminal.show(measured.summary, terminal.Output())
    for line in write_page(measured.folder, measured.summary):
        say(line)
    interrupted = measured.status == INTERRUPTED
    say(f"results: {measured.folder.path}" + " (interrupted; go on with --resume)" * interrupted)
    return measured.status


def measure(
    plan: Plan, resolved: Resolved, path: Path, *, overwrite: bool = False, resume: bool = False
) -> MeasuredRun:
    """Measure cells into a folder and write their result.

    Args:
        plan: input, trials, budget, timeout and seed; its axes are not used.
        resolved: what is measured.
        path: the run folder.
        overwrite: whether a run that the folder holds is replaced.
        resume: whether it is gone on with.
    """
    checked = audio_input.check_audio(plan.audio, channel=plan.channel, resample=plan.resample)
    *others, last = checked.errors or ("",)
    for error in others:
        complain(error)
    if not checked.sources:
        raise InputError(last)
    if last:
        complain(last)
    if plan.trials is not None:
        trial_check.check_covered(plan.trials, [source.name for source in checked.sources])
    folder = RunFolder.create(path, overwrite=overwrite, resume=resume)
    seed = draw_seed() if plan.seed is None else plan.seed
    host = environment.describe_host(
        audio=[source.name for source in checked.sources],
        audio_s=checked.audio_s,
        weights=_weights(resolved),
        seed=seed,
    )
    if plan.trials is not None:
        folder.write(TRIALS, plan.trials.read_text(encoding="utf-8-sig"))
    folder.write(ENVIRONMENT, host.model_dump_json(indent=2) + "\n")
    status = BAD_INPUT if checked.errors else OK
    try:
        with progress_on_stderr(_expected_s(plan, resolved)) as progress:
            context = RunContext(
                folder=folder,
                sources=tuple(checked.sources),
                progress=progress,
                seed=seed,
                timeout_s=plan.timeout_s,
                precision=plan.precision,
            )
            Runner(plan, context).run(resolved)
    except KeyboardInterrupt:
        status = INTERRUPTED
    summary = write_results(folder)
    if status == OK and any(cell.status != "ok" for cell in summary.cells):
        status = SOME_FAILED
    return MeasuredRun(folder, summary, status)


def write_results(folder: RunFolder) -> Summary:
    """Derive a run's result and write it beside its records."""
    summary = read_summary(folder)
    folder.write(SUMMARY, to_json(summary))
    folder.write(TABLE, markdown.render(summary))
    return summary


def _expected_s(plan: Plan, resolved: Resolved) -> float:
    """Return about how long a run takes: its budget, and starting processes session by session."""
    most = max((axes.sessions for axes in plan.sweeps), default=1)
    return plan.budget_s + START_S * most * len(resolved.cells)


def _weights(resolved: Resolved) -> str:
    """Say where the models' weights come from."""
    models, files = {cell.model for cell in resolved.cells}, set(resolved.users)
    if models <= files:
        return FILE_WEIGHTS
    return MIXED_WEIGHTS if models & files else SEEDED_WEIGHTS
