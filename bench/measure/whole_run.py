"""A whole run, from a plan to a folder with its result: the one way, for every caller; and back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, check_room, followed, read_bytes, reading_from
from rtfbench.base.memory import MemoryLimit
from rtfbench.base.pace import Progress
from rtfbench.embed import audio_input
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.measure import resuming, trial_check
from rtfbench.measure.context import RunContext
from rtfbench.measure.machine import environment
from rtfbench.measure.plan import Plan, precisions_for, resolve_plan
from rtfbench.measure.runner import Runner
from rtfbench.measure.schedule import draw_seed
from rtfbench.measure.trial_check import TrialOptions
from rtfbench.models.names import precisions_of
from rtfbench.models.probe import probe
from rtfbench.models.resolve import Resolved
from rtfbench.models.zoo import catalog
from rtfbench.report import figures, markdown
from rtfbench.report.answer import answer
from rtfbench.report.history import StoredRun
from rtfbench.report.run_document import of_run
from rtfbench.results.host import Environment
from rtfbench.results.rows import Summary
from rtfbench.results.store import (
    DAMAGED,
    ENVIRONMENT,
    RECORDS,
    SUMMARY,
    TABLE,
    TRIAL_OPTIONS,
    TRIALS,
    CellData,
    RunFolder,
    no_run,
)
from rtfbench.results.summary import summarize

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
#: What a run leaves on the disk at least, and what a cell adds: records, logs, page and pictures.
ROOM_BYTES, CELL_BYTES = 500_000, 50_000

SEEDED_WEIGHTS = (
    "seeded, not trained: speed and parity are real, the embeddings tell no speakers apart"
)
TRAINED_WEIGHTS = (
    "trained on synthetic voices: what a precision costs is real, the error rate itself is not one "
    "of real speech"
)
FILE_WEIGHTS = "those of the model files"


@dataclass(frozen=True)
class Audience:
    """Where a run tells what goes on.

    Attributes:
        say: what is done before anything is measured, and what a plan leaves out.
        complain: what is wrong with a part of the input.
        progress: of the measuring.
    """

    say: Callable[[str], None]
    complain: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class MeasuredRun:
    """A run that ended: its folder, its result and the exit status that it calls for."""

    folder: RunFolder
    summary: Summary
    status: int


def default_folder(name: str = "") -> Path:
    """Return where a run goes that names no folder."""
    return Path("runs") / f"{name}{datetime.now():%Y%m%d-%H%M%S}"


def folder_for(out: Path | None, *, resume: bool) -> Path:
    """Return where a run goes.

    Raises:
        InputError: it is to be gone on with, and nothing tells which one.
    """
    if out is None and resume:
        raise InputError("resume: name the folder of the run that goes on, as --out does")
    return out or default_folder()


def run_plan(
    plan: Plan,
    path: Path,
    audience: Audience,
    *,
    overwrite: bool = False,
    resume: bool = False,
    libraries: Mapping[str, Path | None] | None = None,
) -> MeasuredRun:
    """Measure what a plan names.

    Args:
        plan: the axes, the input and the limits.
        path: the run folder.
        audience: is told what goes on.
        overwrite: whether a run that the folder holds is replaced.
        resume: whether it is gone on with.
        libraries: folders of the user's own, by the engines that they are for.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    plan = trial_check.with_heldout(plan)
    for line in dict.fromkeys(_not_computed(plan)):
        audience.say(line)
    resolved = resolve_plan(plan, libraries, say=audience.say)
    return measure(plan, resolved, path, audience, overwrite=overwrite, resume=resume)


def measure(
    plan: Plan,
    resolved: Resolved,
    path: Path,
    audience: Audience,
    *,
    overwrite: bool = False,
    resume: bool = False,
) -> MeasuredRun:
    """Measure cells into a folder and write their result, as `run_plan` does with those of a plan.

    Of the plan, input, trials, budget, timeout and seed count, and not the axes.
    """
    front_end = resolved.audio_front_end
    checked = audio_input.check_audio(
        plan.audio,
        channel=plan.channel,
        resample=plan.resample,
        front_end=front_end,
        windows=plan.cut,
    )
    *others, last = checked.errors or ("",)
    for error in others:
        audience.complain(error)
    if not checked.sources:
        raise InputError(last)
    for note in checked.notes:
        audience.say(note)
    if last:
        audience.complain(last)
    scored = _scored(plan, front_end)
    if plan.trials is not None:
        covered = (*checked.sources, *scored.sources)
        trial_check.check_covered(plan.trials, [source.name for source in covered])
    room_bytes = ROOM_BYTES + CELL_BYTES * len(resolved.cells)
    check_room(path, room_bytes, what="a run", named_by="--out")
    # Before the folder is cleared, which may be where the list lies.
    trials = None if plan.trials is None else plan.trials.read_text(encoding="utf-8-sig")
    with RunFolder.create(path, overwrite=overwrite, resume=resume) as folder:
        return _measure_into(folder, plan, resolved, checked, scored, trials, audience)


def _measure_into(
    folder: RunFolder,
    plan: Plan,
    resolved: Resolved,
    checked: audio_input.CheckedSources,
    scored: audio_input.CheckedSources,
    trials: str | None,
    audience: Audience,
) -> MeasuredRun:
    """Measure cells and write their result; see `measure`."""
    if folder.set_aside:
        lines = figures.counted(folder.set_aside, "damaged line")
        told = f"{folder.path / RECORDS}: {lines} set aside in {DAMAGED}; the rest is used"
        audience.complain(told)
    stored = resuming.stored_environment(folder)
    seed = plan.seed
    if seed is None:
        seed = draw_seed() if stored is None or stored.seed is None else stored.seed
    host = environment.describe_host(
        audio=[source.name for source in checked.sources],
        audio_s=checked.audio_s,
        audio_sha256=checked.sha256,
        scored_sha256=scored.sha256,
        weights=_weights(resolved),
        front_ends=_front_ends(resolved),
        seed=seed,
    )
    kept = resuming.take_up(folder, stored, host, probe)
    for reason in kept.reasons:
        audience.complain(f"{folder.path}: measured again: {reason}")
    if stored is None:
        folder.write(ENVIRONMENT, to_json(host))
    status = BAD_INPUT if checked.errors else OK
    stopped: OSError | None = None
    try:
        with audience.progress() as progress:
            context = RunContext(
                folder=folder,
                sources=tuple(checked.sources),
                progress=progress,
                seed=seed,
                timeout_s=plan.timeout_s,
                memory=MemoryLimit.of_megabytes(plan.max_rss_mb),
                half_width=plan.half_width,
                scored=scored.sources,
                kept=kept,
            )
            runner = Runner(plan, context)
            groups = runner.take_up(resolved)
            if groups:
                # Only now: a run that is refused leaves the folder as it was, and what was
                # measured in another environment is declared anew.
                folder.write(ENVIRONMENT, to_json(host))
            if trials is not None:
                folder.write(TRIALS, trials)
                options = TrialOptions(max_eer_loss=plan.max_eer_loss)
                folder.write(TRIAL_OPTIONS, options.model_dump_json())
            runner.run(groups)
    except KeyboardInterrupt:
        if not folder.cells():
            audience.complain(
                "interrupted before anything was measured; what was prepared is kept in the cache"
            )
            raise
        status = INTERRUPTED
    except OSError as error:
        stopped = error
    summary = read_summary(folder)
    try:
        folder.write(SUMMARY, to_json(summary))
        folder.write(TABLE, markdown.draw(of_run(summary)))
    except OSError as error:
        stopped = stopped or error
    if stopped is not None:
        # A disk that is full, or gone; what is finished is shown all the same.
        audience.complain(
            f"{folder.path}: cannot be written ({stopped.strerror or stopped}); make room, and go "
            "on with --resume"
        )
        status = BAD_INPUT
    if status == OK and any(cell.status != "ok" for cell in summary.cells):
        status = SOME_FAILED
    return MeasuredRun(folder, summary, status)


def _not_computed(plan: Plan) -> Iterator[str]:
    """Say of the precisions that a plan asks of all engines which ones an engine lacks."""
    for axes in plan.sweeps:
        for spec in axes.engines:
            kept = [precisions_for(axes, spec, where, precisions_of) for where in axes.devices]
            lacking = [each for each in axes.precisions if not any(each in some for some in kept)]
            if lacking and spec.precision is None:
                yield f"{spec.name} does not compute in {', '.join(lacking)}"


def _scored(plan: Plan, front_end: FrontEnd) -> audio_input.CheckedSources:
    """Return the recordings that are embedded for the trials alone.

    Raises:
        InputError: one cannot be used: an error rate of the others would be another one.
    """
    if plan.trials is None or not plan.trial_audio:
        return audio_input.NOTHING
    found = audio_input.check_audio(
        plan.trial_audio, channel=plan.channel, resample=plan.resample, front_end=front_end
    )
    if found.errors:
        raise InputError(found.errors[0])
    return found


def read_summary(folder: RunFolder, cells: Mapping[str, CellData] | None = None) -> Summary:
    """Derive a run's result from its records; `cells` are those of a caller who has read them."""
    cells = folder.cells() if cells is None else cells
    summary = summarize(folder.environment(), list(cells.values()))
    found = {
        "explanations": folder.explanations(),
        "lengths": folder.lengths(),
        "records_sha256": sha256_of(folder.path / RECORDS),
    }
    summary = summary.model_copy(update=found)
    originals = [cell_id for cell_id, data in cells.items() if not data.cell.replica]
    summary = trial_check.with_eer(summary, originals, folder)
    return summary.model_copy(update={"answer": tuple(answer(summary))})


def read_stored(path: Path) -> tuple[RunFolder, Summary]:
    """Return a stored run and its result, derived from records that nobody changed since.

    Raises:
        InputError: there is none, it is damaged, or it was changed.
    """
    if not (path / RECORDS).is_file():
        raise InputError(no_run(path))
    folder = RunFolder(path)
    summary = read_summary(folder)
    folder.check_unchanged()
    folder.check_environment()
    return folder, summary


def to_json(stored: Summary | Environment) -> str:
    """Return the content of `summary.json` or of `environment.json`."""
    return stored.model_dump_json(indent=2, by_alias=True) + "\n"


def _front_ends(resolved: Resolved) -> str:
    """Say what models are fed where that is not WeSpeaker's front end."""
    models = dict.fromkeys(cell.model for cell in resolved.cells)
    told = ((Path(model).name, str(resolved.front_end(model))) for model in models)
    return "; ".join(f"{name}: {each}" for name, each in told if each != WESPEAKER.base)


def _weights(resolved: Resolved) -> str:
    """Say where the models' weights come from."""
    kinds: dict[str, list[str]] = {}
    for model in dict.fromkeys(cell.model for cell in resolved.cells):
        if model in resolved.users:
            kind = FILE_WEIGHTS
        elif catalog.weights_of(model, resolved.weights) == "trained":
            kind = TRAINED_WEIGHTS
        else:
            kind = SEEDED_WEIGHTS
        kinds.setdefault(kind, []).append(model)
    if len(kinds) == 1:
        return f"{next(iter(kinds))}."
    parts = (f"{', '.join(found)}: {kind}" for kind, found in kinds.items())
    return f"{'; '.join(parts)}."


@dataclass
class FoundRuns:
    """What was there, the runs that were read, and a line for each that could not be."""

    paths: set[Path] = field(default_factory=set)
    runs: list[StoredRun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def stored_below(folders: Sequence[Path]) -> FoundRuns:
    """Read every summary in and below the folders, each once."""
    found = FoundRuns()
    for folder in folders:
        paths = sorted(folder.rglob(SUMMARY)) if folder.is_dir() else []
        if not paths:
            found.errors.append(f"{folder}: no {SUMMARY} here or below; name folders of runs")
        for path in paths:
            if followed(path) in found.paths:
                continue
            found.paths.add(followed(path))
            try:
                with reading_from(path):
                    check_readable(path)
                    summary = Summary.model_validate_json(read_bytes(path))
            except InputError as error:
                found.errors.append(str(error))
            except ValidationError as error:
                count = figures.counted(error.error_count(), "error")
                found.errors.append(
                    f"{path}: damaged, or of a newer rtfbench ({count}); "
                    f"where {RECORDS} is beside it, `rtfbench report {path.parent} --format json` "
                    "derives it anew"
                )
            else:
                found.runs.append(StoredRun(str(path.parent), summary))
    return found
