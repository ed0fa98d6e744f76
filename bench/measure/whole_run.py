"""A whole run, from a plan to a folder with its result: the one way, for every caller."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.base.core_count import core_count
from bench.base.disk import check_room
from bench.base.errors import InputError
from bench.base.memory import MemoryLimit
from bench.embed import audio_input, trial_check
from bench.embed.trial_check import TrialOptions
from bench.machine import environment
from bench.measure import resuming
from bench.measure.context import Progress, RunContext
from bench.measure.runner import Runner
from bench.measure.schedule import draw_seed
from bench.models import homes
from bench.models.names import default_form, precisions_of
from bench.models.probe import probe
from bench.models.resolve import Asked, Resolved, resolve
from bench.plan.engine_spec import parse_engine
from bench.plan.sweep import Plan, expand, precisions_for
from bench.report import figures, markdown
from bench.results.rows import Environment, Summary
from bench.results.store import (
    DAMAGED,
    ENVIRONMENT,
    RECORDS,
    SUMMARY,
    TABLE,
    TRIAL_OPTIONS,
    TRIALS,
    RunFolder,
)
from bench.results.summary import summarize
from bench.zoo import catalog

#: A worker takes about so long to start and to load.
START_S = 0.7
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
        progress: of the measuring, given the seconds that it is expected to take.
    """

    say: Callable[[str], None]
    complain: Callable[[str], None]
    progress: Callable[[float], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class MeasuredRun:
    """A run that ended: its folder, its result and the exit status that it calls for."""

    folder: RunFolder
    summary: Summary
    status: int


def default_folder(name: str = "") -> Path:
    """Return where a run goes that names no folder."""
    return Path("runs") / f"{name}{datetime.now():%Y%m%d-%H%M%S}"


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
    resolved = resolve(
        expand(plan, default_form, precisions_of, cores=core_count()),
        folders=homes.named([spec for axes in plan.sweeps for spec in axes.engines], libraries),
        asked=Asked(
            input_name=plan.input,
            output_name=plan.output,
            reference=plan.reference,
            sizes=any("chunk_samples" in axes.model_fields_set for axes in plan.sweeps),
            forms=any(axes.forms for axes in plan.sweeps),
            weights=plan.weights,
        ),
        phase=audience.say,
    )
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
    """Measure cells into a folder and write their result.

    Args:
        plan: input, trials, budget, timeout and seed; its axes are not used.
        resolved: what is measured.
        path: the run folder.
        audience: is told what goes on.
        overwrite: whether a run that the folder holds is replaced.
        resume: whether it is gone on with.
    """
    checked = audio_input.check_audio(plan.audio, channel=plan.channel, resample=plan.resample)
    *others, last = checked.errors or ("",)
    for error in others:
        audience.complain(error)
    if not checked.sources:
        raise InputError(last)
    if last:
        audience.complain(last)
    scored = _scored(plan)
    if plan.trials is not None:
        covered = (*checked.sources, *scored.sources)
        trial_check.check_covered(plan.trials, [source.name for source in covered])
    room_bytes = ROOM_BYTES + CELL_BYTES * len(resolved.cells)
    check_room(path, room_bytes, what="a run", named_by="--out")
    with RunFolder.create(path, overwrite=overwrite, resume=resume) as folder:
        return _measure_into(folder, plan, resolved, checked, scored, audience)


def _measure_into(
    folder: RunFolder,
    plan: Plan,
    resolved: Resolved,
    checked: audio_input.Checked,
    scored: audio_input.Checked,
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
        with audience.progress(_expected_s(plan, resolved)) as progress:
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
            if plan.trials is not None:
                folder.write(TRIALS, plan.trials.read_text(encoding="utf-8-sig"))
                options = TrialOptions(max_eer_loss=plan.max_eer_loss)
                folder.write(TRIAL_OPTIONS, options.model_dump_json())
            runner.run(groups)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OSError as error:
        stopped = error
    summary = read_summary(folder)
    try:
        _write(folder, summary)
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
        for spec in map(parse_engine, axes.engines):
            kept = precisions_for(axes, spec, precisions_of)
            lacking = [each for each in axes.precisions if each not in kept]
            if lacking and spec.precision is None:
                yield f"{spec.name} does not compute in {', '.join(lacking)}"


def _scored(plan: Plan) -> audio_input.Checked:
    """Return the recordings that are embedded for the trials alone.

    Raises:
        InputError: one cannot be used: an error rate of the others would be another one.
    """
    if plan.trials is None or not plan.trial_audio:
        return audio_input.NOTHING
    found = audio_input.check_audio(plan.trial_audio, channel=plan.channel, resample=plan.resample)
    if found.errors:
        raise InputError(found.errors[0])
    return found


def write_results(folder: RunFolder) -> Summary:
    """Derive a run's result and write it beside its records."""
    summary = read_summary(folder)
    _write(folder, summary)
    return summary


def _write(folder: RunFolder, summary: Summary) -> None:
    folder.write(SUMMARY, to_json(summary))
    folder.write(TABLE, markdown.render(summary))


def read_summary(folder: RunFolder) -> Summary:
    """Derive a run's result from its records."""
    summary = summarize(folder.environment(), list(folder.cells().values()))
    explained = {"explanations": folder.explanations(), "lengths": folder.lengths()}
    summary = summary.model_copy(update=explained)
    return trial_check.with_eer(summary, list(folder.originals()), folder)


def to_json(stored: Summary | Environment) -> str:
    """Return the content of `summary.json` or of `environment.json`."""
    return stored.model_dump_json(indent=2, by_alias=True) + "\n"


def _expected_s(plan: Plan, resolved: Resolved) -> float:
    """Return about how long a run takes: its budget, and starting processes session by session."""
    most = max((axes.sessions for axes in plan.sweeps), default=1)
    return plan.budget_s + START_S * most * len(resolved.cells)


def _weights(resolved: Resolved) -> str:
    """Say where the models' weights come from."""
    models = list(dict.fromkeys(cell.model for cell in resolved.cells))
    kinds: dict[str, list[str]] = {}
    for model in models:
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
