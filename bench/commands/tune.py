"""`rtfbench tune`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.cache import replacing
from bench.base.core_count import cores_here
from bench.base.errors import InputError
from bench.base.outputs import check_outputs, writing_to
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.commands.progress import ON_STDERR, say
from bench.embed import audio_input, trial_check
from bench.embed.trial_check import HELDOUT, HELDOUT_NAME
from bench.extract.options import default_engine
from bench.machine import environment
from bench.machine.cores import cores_to_pin
from bench.measure.context import RunContext
from bench.measure.job import Job
from bench.measure.patience import Patience
from bench.measure.schedule import draw_seed
from bench.measure.whole_run import default_folder, to_json
from bench.models import homes
from bench.models.model_files import is_path
from bench.models.names import check_names, default_form
from bench.models.resolve import Asked, resolve
from bench.models.workload import Prepared
from bench.plan.engine_spec import EngineSpec, parse_engine
from bench.results.cells import Cell
from bench.results.store import ENVIRONMENT, RunFolder
from bench.tune import picture, report, saved, space
from bench.tune.accuracy import TrialSet
from bench.tune.answer import Answer, answer
from bench.tune.course import Course, Wanted
from bench.tune.limits import Limits
from bench.tune.recordings import Recordings, from_audio, from_lengths
from bench.tune.space import Choice, Goal
from bench.zoo import catalog
from bench.zoo.catalog import Weights
from engines import registry
from engines.protocol import FLOAT32, HOME, EngineError, Precision, SessionOptions

NAMED, NONE_LEFT, UNDECIDED, INTERRUPTED = 0, 1, 3, 130
#: The precisions that are computed in; the others only store weights in fewer bits.
COMPUTED: tuple[Precision, ...] = (FLOAT32, "bf16", "fp16", "int8")
JSON, MARKDOWN = "tune.json", "tune.md"
NO_TRIALS = (
    "Only float32 was raced: nothing tells what fewer bits would lose. --trials measures it; "
    "--precision int8 races it anyway."
)
DISTURBED = (
    "Others were busy on these cores: {discarded} of {taken} turns do not count, and were taken "
    "again."
)
#: So often a turn is taken at most where others come and go.
MOST_TRIES = 8
OTHER_SIZE = (
    "Chunks of {size} samples in place of {default} change the embeddings: compare enrolment and "
    "test made with one size, and set the threshold anew."
)


@dataclass(frozen=True)
class TuneOptions:
    """What a user asked for; see `rtfbench tune --help`."""

    model: str
    goal: Goal
    engines: Sequence[str] = ()
    precisions: Sequence[Precision] = ()
    chunk_samples: Sequence[int] = ()
    audio: Sequence[Path] = ()
    lengths: Path | None = None
    channel: int | None = None
    resample: bool = False
    latency_ms: float | None = None
    max_rss_mb: float | None = None
    trials: Path | None = None
    trial_audio: Sequence[Path] = ()
    max_eer_loss: float = 0.1
    weights: Weights = "trained"
    cores: int | None = None
    margin: float = 0.02
    budget_s: float = 240.0
    timeout_s: float = 120.0
    seed: int | None = None
    libraries: Mapping[str, Path | None] = field(default_factory=dict)


def tune(options: TuneOptions, *, out: Path | None, save: Path | None, overwrite: bool) -> int:
    """Race configurations, tell the answer, and return the exit status.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    check_names([options.model], options.engines)
    if options.goal == "streams" and options.latency_ms is None:
        raise InputError("--goal streams: needs --latency-ms, what 95 of 100 recordings may take")
    if save is not None:
        named = (options.lengths, options.trials, Path(options.model), *options.audio)
        check_outputs([save], [*named, *options.trial_audio])
        if save.is_dir():
            raise InputError(f"{save}: is a folder; name a file for --save")
        if save.exists() and not overwrite:
            raise InputError(f"{save}: exists; add --overwrite, or choose another --save")
    cores = _cores(options)
    trials = _trials(options)
    choices = _choices(options, lossy=trials is not None)
    folder = RunFolder.create(out or default_folder("tune-"), overwrite=overwrite, resume=False)
    recordings = (
        from_lengths(options.lengths, folder.path / "recordings")
        if options.lengths is not None
        else from_audio(options.audio, channel=options.channel, resample=options.resample)
    )
    seed = draw_seed() if options.seed is None else options.seed
    host = environment.describe_host(
        audio=[source.name for source in recordings.sources],
        audio_s=sum(recordings.num_samples.values()) / 16000,
        weights="",
        seed=seed,
    )
    folder.write(ENVIRONMENT, to_json(host))
    status = None
    with ON_STDERR.progress(options.budget_s) as progress:
        context = RunContext(
            folder=folder,
            sources=recordings.sources,
            progress=progress,
            cores=cores,
            seed=seed,
            timeout_s=options.timeout_s,
            patience=Patience(MOST_TRIES),
        )
        course = Course(
            _wanted(options, choices, recordings, trials, len(cores)),
            context,
            _Preparing(options, context),
            recordings,
        )
        try:
            course.run()
        except KeyboardInterrupt:
            status = INTERRUPTED
        for race in {id(heat.race): heat.race for heat in course.heats}.values():
            race.end()
    if not course.heats:
        raise KeyboardInterrupt
    found = answer(course, host=host.cpu_kind)
    notes = _notes(options, course, found, lossy=trials is not None)
    found = found.model_copy(update={"notes": tuple(notes)})
    _tell(found, course, folder, save)
    if status is None:
        status = NAMED if found.named else UNDECIDED if found.entries else NONE_LEFT
    return status


def _tell(found: Answer, course: Course, folder: RunFolder, save: Path | None) -> None:
    """Print and write the answer."""
    job = None
    if found.named is not None:
        job = next(job for job in course.last.race.jobs if job.cell == found.named.cell)
    used = str(save) if save and found.named else ""
    commands = saved.commands(found.named.cell, used) if found.named else ()
    in_python = _in_python(job.prepared) if job else ""
    text = report.render(found, commands=commands, in_python=in_python)
    folder.write(JSON, found.model_dump_json(indent=2) + "\n")
    folder.write(MARKDOWN, text)
    try:
        drawn = picture.draw(found)
    except ImportError:
        drawn = None
        say("no picture: matplotlib is not installed; pip install 'rtfbench[plot]'")
    if drawn is not None:
        folder.write(f"{drawn.name}.png", drawn.png)
        folder.write(f"{drawn.name}.svg", drawn.svg)
    print(text)
    say(f"results: {folder.path}")
    # Last, because it may fail, and the answer is known by then.
    if job is not None and save is not None:
        _save(found, job, save)


def _save(found: Answer, job: Job, path: Path) -> None:
    """Write the configuration that is named.

    Raises:
        InputError: it cannot be written there.
    """
    version = job.ready.version if job.ready else ""
    text = saved.as_toml(
        job.cell,
        packages=_packages(job.cell, version),
        remarks=(report.headline(found), found.host),
    )
    with writing_to(path), replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _in_python(prepared: Prepared) -> str:
    cell, artifact = prepared.cell, prepared.artifact
    if artifact is None:
        return ""
    options = SessionOptions(cell.threads, cell.settings, cell.precision)
    return registry.get(cell.engine).in_python(artifact, options)


def _packages(cell: Cell, version: str) -> tuple[str, ...]:
    """Return what pins the runtime that was measured, nothing where that is the user's own."""
    distribution = registry.get(cell.engine).distribution
    if distribution is None or not version or cell.settings.get(HOME):
        return ()
    return (f"{distribution}=={version.partition('+')[0]}",)


class _Preparing:
    """Makes the files of cells, with all that the user said of the model."""

    def __init__(self, options: TuneOptions, context: RunContext) -> None:
        self._options, self._context = options, context

    def __call__(self, cells: Sequence[Cell]) -> list[Prepared]:
        specs = [cell.engine_label for cell in cells]
        used = {parse_engine(spec).name for spec in specs}
        given = {name: path for name, path in self._options.libraries.items() if name in used}
        resolved = resolve(
            cells,
            folders=homes.named(specs, given),
            asked=Asked(sizes=bool(self._options.chunk_samples), weights=self._options.weights),
            phase=self._context.progress.phase,
        )
        return self._context.prepare(resolved)


def _wanted(
    options: TuneOptions,
    choices: Sequence[Choice],
    recordings: Recordings,
    trials: TrialSet | None,
    cores: int,
) -> Wanted:
    default = PUBLISHED_CHUNK_SAMPLES
    sizes = tuple(options.chunk_samples) or (
        default,
        *space.sizes_for(recordings.lengths, default=default),
    )
    return Wanted(
        goal=options.goal,
        model=options.model,
        choices=choices,
        sizes=sizes,
        cores=cores,
        budget_s=options.budget_s,
        margin=options.margin,
        limits=Limits(options.latency_ms, options.max_rss_mb),
        trials=trials,
    )


def _cores(options: TuneOptions) -> list[int]:
    usable = cores_to_pin()
    if options.cores is not None and options.cores > len(usable):
        told = cores_here().told(len(usable))
        raise InputError(f"--cores {options.cores}: this process may use {told}")
    return usable[: options.cores]


def _choices(options: TuneOptions, *, lossy: bool) -> list[Choice]:
    """Return the engines that are raced, each in its precisions; the default is first."""
    default = default_engine(options.model)
    try:
        specs = [parse_engine(text) for text in options.engines] or _installed(options.libraries)
        found = [
            Choice(spec.name, spec.settings, precision, default_form(spec.name))
            for spec in specs
            for precision in _precisions(spec, options, lossy=lossy)
        ]
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from error
    if not found:
        raise InputError("no engine is left to race; see: rtfbench engines")
    return sorted(
        found,
        key=lambda each: (each.precision != FLOAT32, each.engine != default, bool(each.settings)),
    )


def _installed(libraries: Mapping[str, Path | None]) -> list[EngineSpec]:
    """Return every engine that computes something, and is not another under its own name."""
    found = []
    for name in registry.names():
        try:
            engine = registry.get(name)
        except EngineError as error:
            say(f"left out: {error}")
            continue
        placed = not engine.stands_in or homes.named([name], {name: libraries.get(name)})
        if engine.computes and placed:
            found.append(EngineSpec(name, {}))
    return found


def _precisions(spec: EngineSpec, options: TuneOptions, *, lossy: bool) -> tuple[Precision, ...]:
    if spec.precision is not None:
        return (spec.precision,)
    known = registry.get(spec.name).precisions
    asked = options.precisions or (COMPUTED if lossy else (FLOAT32,))
    return tuple(each for each in asked if each in known)


def _trials(options: TuneOptions) -> TrialSet | None:
    """Return the trials that tell what fewer bits lose; the package's know its trained models.

    Raises:
        InputError: they cannot be used.
    """
    path, audio = options.trials, list(options.trial_audio)
    cataloged = not is_path(options.model)
    trained = cataloged and catalog.weights_of(options.model, options.weights) == "trained"
    if (path is None and trained) or (path is not None and str(path) == HELDOUT_NAME):
        path, audio = HELDOUT / "trials", [*audio, HELDOUT]
    if path is None:
        return None
    checked = audio_input.check_audio(
        audio or options.audio, channel=options.channel, resample=options.resample
    )
    if checked.errors:
        raise InputError(checked.errors[0])
    trial_check.check_covered(path, [source.name for source in checked.sources])
    return TrialSet(path, checked.sources, options.max_eer_loss)


def _notes(options: TuneOptions, course: Course, found: Answer, *, lossy: bool) -> list[str]:
    notes = []
    if not lossy and not options.precisions and not options.engines:
        notes.append(NO_TRIALS)
    first = found.named or next((each for each in found.entries if each.fate == "leads"), None)
    default = course.wanted.sizes[0]
    if first is not None and first.cell.chunk_samples != default:
        notes.append(OTHER_SIZE.format(size=first.cell.chunk_samples, default=default))
    patience = course.context.patience
    if patience is not None and patience.discarded:
        notes.append(DISTURBED.format(discarded=patience.discarded, taken=patience.taken))
    return notes
