"""`rtfbench run` and `rtfbench report`."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import audio_input, environment, trial_check, user_models
from bench.errors import InputError
from bench.model_files import is_path
from bench.plan import Plan, expand, load_plan, parse_engine
from bench.records import Summary
from bench.report import markdown, terminal
from bench.runner import Runner
from bench.store import ENVIRONMENT, RECORDS, SUMMARY, TABLE, TRIALS, RunFolder
from bench.summary import summarize
from bench.user_models import UserModel
from bench.zoo import catalog
from engines import registry
from engines.protocol import EngineError, SessionOptions, chosen

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
) -> int:
    """Run a sweep, print its tables, and return the exit status."""
    plan = load_plan(plan_path, flags)
    users = _check_names(plan)
    checked = audio_input.check(plan.audio, channel=channel, resample=resample)
    *others, last = checked.errors or ("",)
    for error in others:
        _complain(error)
    if not checked.sources:
        raise InputError(last)
    if last:
        _complain(last)
    if trials is not None:
        trial_check.check_covered(trials, [source.name for source in checked.sources])
    path = out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}"
    cells = user_models.fit(
        expand(plan, lambda engine: registry.get(engine).default_form),
        users,
        sizes_given="chunk_samples" in plan.model_fields_set,
        forms_given=bool(plan.forms),
    )
    folder = RunFolder.create(path, overwrite=overwrite, resume=resume)
    host = environment.describe(
        audio=[source.name for source in checked.sources],
        audio_s=checked.audio_s,
        weights=_weights(plan, users),
    )
    if trials is not None:
        folder.write(TRIALS, trials.read_text(encoding="utf-8-sig"))
    folder.write(ENVIRONMENT, host.model_dump_json(indent=2) + "\n")
    interrupted = False
    try:
        with progress_on_stderr() as progress:
            Runner(plan, folder, checked.sources, progress, users=users).run(cells)
    except KeyboardInterrupt:
        interrupted = True
    summary = write_results(folder)
    terminal.show(summary, terminal.Output())
    _say(f"results: {folder.path}" + (" (interrupted; go on with --resume)" * interrupted))
    if interrupted:
        return INTERRUPTED
    if checked.errors:
        return BAD_INPUT
    return OK if all(cell.status == "ok" for cell in summary.cells) else SOME_FAILED


def report(path: Path, format_name: str) -> int:
    """Print a finished run again."""
    folder = RunFolder(path)
    if not (path / RECORDS).is_file():
        raise InputError(f"{path}: no {RECORDS} here; name a folder that `rtfbench run --out` made")
    summary = read_summary(folder)
    if format_name == "json":
        print(_json(summary), end="")
    elif sys.stdout.isatty() and format_name == "terminal":
        terminal.show(summary, terminal.Output())
    else:
        print(markdown.render(summary), end="")
    return OK


def read_summary(folder: RunFolder) -> Summary:
    """Derive a run's result from its records."""
    cells = folder.cells()
    summary = summarize(folder.environment(), list(cells.values()))
    return trial_check.with_eer(summary, list(cells), folder)


def write_results(folder: RunFolder) -> Summary:
    """Derive a run's result and write it beside its records."""
    summary = read_summary(folder)
    folder.write(SUMMARY, _json(summary))
    folder.write(TABLE, markdown.render(summary))
    return summary


def _json(summary: Summary) -> str:
    return summary.model_dump_json(indent=2, by_alias=True) + "\n"


def _check_names(plan: Plan) -> dict[str, UserModel]:
    """Refuse unknown models, engines and settings before anything is made.

    Returns:
        The models that are files.
    """
    try:
        for model in plan.models:
            if not is_path(model):
                catalog.get(model)
        for spec in map(parse_engine, plan.engines):
            chosen(registry.get(spec.name), SessionOptions(settings=spec.settings))
    except (catalog.UnknownModelError, EngineError) as error:
        raise InputError(str(error)) from error
    return user_models.load_all(
        plan.models, input_name=plan.input, output_name=plan.output, reference=plan.reference
    )


def _weights(plan: Plan, users: Mapping[str, UserModel]) -> str:
    """Say where the models' weights come from."""
    if not users:
        return SEEDED_WEIGHTS
    return MIXED_WEIGHTS if len(users) < len(set(plan.models)) else FILE_WEIGHTS


def _complain(text: str) -> None:
    print(f"rtfbench: {text}", file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
