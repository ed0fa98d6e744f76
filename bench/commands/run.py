"""`rtfbench run`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.base.errors import InputError
from bench.commands.report import read_summary, to_json, write_page
from bench.embed import audio_input, trial_check
from bench.machine import environment
from bench.measure.runner import Runner
from bench.measure.session import RunContext
from bench.models import homes, names, user_models
from bench.models.user_models import UserModel
from bench.plan.plan_files import load_plan
from bench.plan.sweep import Plan, expand
from bench.report import markdown, terminal
from bench.results.cells import Cell
from bench.results.rows import Summary
from bench.results.store import ENVIRONMENT, SUMMARY, TABLE, TRIALS, RunFolder

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

SEEDED_WEIGHTS = (
    "seeded, not trained: speed and parity are real, the embeddings tell no speakers apart."
)
FILE_WEIGHTS = "those of the model files."
MIXED_WEIGHTS = f"{FILE_WEIGHTS[:-1]}; models of the catalog: {SEEDED_WEIGHTS}"


class RichProgress:
    """Progress on standard error; silent when that is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=1.0)

    def phase(self, text: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=text)

    def advance(self, done: float) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done)


@contextmanager
def progress_on_stderr() -> Iterator[RichProgress]:
    """Show a bar with the present phase until the block ends."""
    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield RichProgress(bar)


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
    channel: int | None,
    resample: bool,
    trials: Path | None = None,
    thorough: bool = False,
    libraries: Mapping[str, Path | None] | None = None,
) -> int:
    """Run a sweep, print its tables, and return the exit status.

    `libraries` are the folders that options name, by the engines that they are for.
    """
    plan = load_plan(plan_path, flags)
    if thorough:
        plan = plan.thorough()
    folders = homes.named(homes.engines(plan), libraries)
    plan = homes.place_all(plan, folders)
    users = _users(plan)
    homes.check_homes(homes.engines(plan))
    cells = user_models.fit(
        expand(plan, names.default_form),
        users,
        sizes_given=any("chunk_samples" in axes.model_fields_set for axes in plan.sweeps),
        forms_given=any(axes.forms for axes in plan.sweeps),
    )
    measured = measure(
        plan,
        cells,
        out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}",
        users=users,
        overwrite=overwrite,
        resume=resume,
        channel=channel,
        resample=resample,
        trials=trials,
    )
    terminal.show(measured.summary, terminal.Output())
    for line in write_page(measured.folder, measured.summary):
        _say(line)
    interrupted = measured.status == INTERRUPTED
    _say(f"results: {measured.folder.path}" + " (interrupted; go on with --resume)" * interrupted)
    return measured.status


def measure(
    plan: Plan,
    cells: Sequence[Cell],
    path: Path,
    *,
    users: Mapping[str, UserModel],
    overwrite: bool = False,
    resume: bool = False,
    channel: int | None = None,
    resample: bool = False,
    trials: Path | None = None,
) -> MeasuredRun:
    """Measure cells into a folder and write their result.

    Args:
        plan: input, budget, timeout and seed; its axes are not used.
        cells: what is measured.
        path: the run folder.
        users: the models that are files, by the name that cells give them.
        overwrite: whether a run that the folder holds is replaced.
        resume: whether it is gone on with.
        channel: which channel of a recording with several, from 0.
        resample: whether other sample rates are converted.
        trials: pairs of recordings that each cell's embeddings are to tell apart.
    """
    checked = audio_input.check_audio(plan.audio, channel=channel, resample=resample)
    *others, last = checked.errors or ("",)
    for error in others:
        _complain(error)
    if not checked.sources:
        raise InputError(last)
    if last:
        _complain(last)
    if trials is not None:
        trial_check.check_covered(trials, [source.name for source in checked.sources])
    folder = RunFolder.create(path, overwrite=overwrite, resume=resume)
    host = environment.describe_host(
        audio=[source.name for source in checked.sources],
        audio_s=checked.audio_s,
        weights=_weights(cells, users),
    )
    if trials is not None:
        folder.write(TRIALS, trials.read_text(encoding="utf-8-sig"))
    folder.write(ENVIRONMENT, host.model_dump_json(indent=2) + "\n")
    status = BAD_INPUT if checked.errors else OK
    try:
        with progress_on_stderr() as progress:
            context = RunContext(
                folder=folder,
                sources=tuple(checked.sources),
                progress=progress,
                seed=plan.seed,
                timeout_s=plan.timeout_s,
                precision=plan.precision,
            )
            Runner(plan, context, users=users).run(cells)
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


def _users(plan: Plan) -> dict[str, UserModel]:
    """Refuse unknown models, engines and context, and return the models that are files."""
    models = dict.fromkeys(model for axes in plan.sweeps for model in axes.models)
    names.check_names(models, homes.engines(plan))
    return user_models.load_user_models(
        models, input_name=plan.input, output_name=plan.output, reference=plan.reference
    )


def _weights(cells: Sequence[Cell], users: Mapping[str, UserModel]) -> str:
    """Say where the models' weights come from."""
    models = {cell.model for cell in cells}
    if models <= set(users):
        return FILE_WEIGHTS
    return MIXED_WEIGHTS if models & set(users) else SEEDED_WEIGHTS


def _complain(text: str) -> None:
    print(f"rtfbench: {text}", file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
