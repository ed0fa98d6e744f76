"""A whole search for the fastest configuration, from what a user asks for to the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rtfbench.base.cache import write_whole
from rtfbench.base.core_count import cores_here, cores_to_pin
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import check_outputs, writing_to
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.embed import audio_input
from rtfbench.embed.intervals import LEAST_SPEAKERS, speakers
from rtfbench.engines import registry
from rtfbench.engines.protocol import FLOAT32, HOME, EngineError, EngineSpec, Precision
from rtfbench.frontends.chunking import SAMPLE_RATE_HZ
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.measure import trial_check
from rtfbench.measure.capacity import FIRST_STREAMS, first_rate
from rtfbench.measure.context import Patience, RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.machine import environment
from rtfbench.measure.schedule import draw_seed
from rtfbench.measure.trial_check import HELDOUT, HELDOUT_NAME
from rtfbench.measure.whole_run import Audience, default_folder, to_json
from rtfbench.models import names
from rtfbench.models.model_files import is_path
from rtfbench.models.names import check_names, default_engine, default_form
from rtfbench.models.resolve import Asked, file_in, resolve
from rtfbench.models.user_models import load_user_model
from rtfbench.models.workload import Prepared
from rtfbench.models.zoo import catalog
from rtfbench.report import markdown
from rtfbench.report.document import Document
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.results.store import ENVIRONMENT, RunFolder
from rtfbench.tune import report, saved, space
from rtfbench.tune.answer import Answer, answer
from rtfbench.tune.course import RacePlan, TrialSet, Tuning
from rtfbench.tune.racing import Limits
from rtfbench.tune.recordings import from_audio, from_lengths
from rtfbench.tune.space import STEADY_TRAFFIC, TuneOptions

NAMED, NONE_LEFT, UNDECIDED, INTERRUPTED = 0, 1, 3, 130
#: The precisions that are computed in; the others only store weights in fewer bits.
COMPUTED: tuple[Precision, ...] = (FLOAT32, "bf16", "fp16", "int8")
MARKDOWN = "tune.md"
UNDECIDED_YET = "Not decided: this one is the safe choice until then."
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
class Tuned:
    """The answer: its folder, what is told, the exit status, and the configuration as a plan."""

    folder: Path
    document: Document
    status: int
    toml: str

    def save(self, path: Path) -> None:
        """Write the configuration that is named, or that is safe until one is.

        Raises:
            InputError: it cannot be written there.
        """
        if self.toml:
            with writing_to(path):
                write_whole(path, self.toml)


def tune(
    options: TuneOptions,
    *,
    out: Path | None,
    save: Path | None,
    overwrite: bool,
    audience: Audience,
) -> Tuned:
    """Race configurations, and write the answer to a folder.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    check_names([options.model], options.engines)
    load = _load(options)
    if save is not None:
        named = (options.lengths, options.trials, Path(options.model), *options.audio)
        check_outputs([save], [*named, *options.trial_audio])
        if save.is_dir():
            raise InputError(f"{save}: is a folder; name a file for --save")
        if save.exists() and not overwrite:
            raise InputError(f"{save}: exists; add --overwrite, or choose another --save")
    usable = cores_to_pin()
    if options.cores is not None and options.cores > len(usable):
        raise InputError(f"--cores {options.cores}: {cores_here().told(len(usable))}")
    cores = usable[: options.cores]
    front_end = _front_end(options, audience.say)
    trials = _trials(options, front_end)
    default = PUBLISHED_CHUNK_SAMPLES
    if load is not None and load.streams:
        default = round(load.window_s * SAMPLE_RATE_HZ)
    sizes = tuple(options.chunk_samples) or (default,)
    choices = _choices(options, sizes[0], audience.say, lossy=trials is not None)
    folder = RunFolder.create(out or default_folder("tune-"), overwrite=overwrite, resume=False)
    recordings = (
        from_lengths(options.lengths, folder.path / "recordings", front_end)
        if options.lengths is not None
        else from_audio(
            options.audio,
            front_end,
            channel=options.channel,
            resample=options.resample,
            windows=(load.window_s, load.hop_s) if load is not None and load.streams else None,
        )
    )
    if not options.chunk_samples and (load is None or not load.streams):
        sizes += tuple(space.sizes_for(recordings.lengths, front_end, default=default))
    seed = draw_seed() if options.seed is None else options.seed
    host = environment.describe_host(
        audio=[source.name for source in recordings.sources], audio_s=recordings.audio_s, seed=seed
    )
    folder.write(ENVIRONMENT, to_json(host))
    status = None
    with audience.progress() as progress:
        context = RunContext(
            folder=folder,
            sources=recordings.sources,
            progress=progress,
            cores=cores,
            seed=seed,
            timeout_s=options.timeout_s,
            patience=Patience(MOST_TRIES),
        )
        wanted = RacePlan(
            goal=options.goal,
            choices=choices,
            sizes=sizes,
            cores=len(cores),
            budget_s=options.budget_s,
            margin=options.margin,
            limits=Limits(None if load else options.latency_ms, options.max_rss_mb),
            trials=trials,
            load=load,
        )
        course = Tuning(wanted, context, partial(_prepare, options, context), recordings)
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
    if status == INTERRUPTED:
        notes.insert(0, "Interrupted: answered by what was measured until then.")
    found = found.model_copy(update={"notes": tuple(notes)})
    if status is None:
        status = NAMED if found.named else NONE_LEFT if found.none_left else UNDECIDED
    return _written(options, found, course, folder, status, save, audience.say)


def _written(
    options: TuneOptions,
    found: Answer,
    course: Tuning,
    folder: RunFolder,
    status: int,
    save: Path | None,
    say: Callable[[str], None],
) -> Tuned:
    job = next(
        (
            job
            for heat in reversed(course.heats)
            for job in heat.race.jobs.values()
            if found.safe is not None and job.cell == found.safe.cell
        ),
        None,
    )
    toml = in_python = ""
    if job is not None:
        toml = _as_toml(found, job, options)
        folder.write(saved.SAVED, toml)
        if (artifact := job.prepared.artifact) is not None:
            in_python = registry.get(job.cell.engine).in_python(artifact, job.cell.options)
    told = report.of_tuning(
        found,
        commands=saved.commands(str(save or folder.path / saved.SAVED)) if job else (),
        in_python=in_python,
        decide=saved.again(options, found.needed_s, save) if found.named is None else "",
    )
    folder.write(saved.JSON, found.model_dump_json(indent=2) + "\n")
    folder.write(MARKDOWN, markdown.draw(told))
    try:
        drawn = report.draw(found)
    except ImportError:
        drawn = None
        say("no picture: matplotlib is not installed; pip install 'rtfbench[plot]'")
    if drawn is not None:
        folder.write(f"{drawn.name}.png", drawn.png)
        folder.write(f"{drawn.name}.svg", drawn.svg)
    return Tuned(folder.path, told, status, toml)


def _as_toml(found: Answer, job: Job, options: TuneOptions) -> str:
    """Return the configuration that is named, or that is safe until one is.

    Requests arrive at it at the rate that it holds.
    """
    version = job.ready.version if job.ready else ""
    cell = job.cell
    if cell.load is not None and found.safe is not None and found.safe.held is not None:
        load = cell.load.at(float(f"{found.safe.held:.3g}"))
        cell = cell.model_copy(update={"load": load, "rate_per_s": load.rate_per_s})
    return saved.as_toml(
        cell,
        packages=_packages(job.cell, version),
        remarks=(report.headline(found), *([] if found.named else [UNDECIDED_YET]), found.host),
        reading=options.reading,
        weights=options.weights,
    )


def _packages(cell: Cell, version: str) -> tuple[str, ...]:
    """Return what pins the runtime that was measured, nothing where that is the user's own."""
    distribution = registry.get(cell.engine).distribution
    if distribution is None or not version or cell.settings.get(HOME):
        return ()
    return (f"{distribution}=={version.partition('+')[0]}",)


def _front_end(options: TuneOptions, say: Callable[[str], None]) -> FrontEnd:
    """Return what the model is fed, and tell what a user has to know of that."""
    if not is_path(options.model):
        return WESPEAKER.with_bins(catalog.get(options.model).feat_dim)
    if Path(options.model).is_dir():
        path = str(file_in(Path(options.model), phase=say))
    else:
        path = options.model
    file = load_user_model(path, options.reading).file
    for line in file.notes:
        say(line)
    return file.front_end


def _prepare(options: TuneOptions, context: RunContext, cells: Sequence[Cell]) -> list[Prepared]:
    """Make the files of cells, with all that the user said of the model."""
    used = {cell.engine for cell in cells}
    given = {name: path for name, path in options.libraries.items() if name in used}
    resolved = resolve(
        cells,
        folders=names.homes_of(used, given),
        asked=Asked(
            reading=options.reading, sizes=bool(options.chunk_samples), weights=options.weights
        ),
        phase=context.progress.phase,
    )
    return context.prepare(resolved)


def _load(options: TuneOptions) -> Load | None:
    """Return how requests arrive at a process in the first session, None where none do.

    Raises:
        InputError: what is said of them is missing, or is of another goal.
    """
    traffic, goal = options.traffic, options.goal
    said = f"--goal {goal}"
    if goal not in ("server", "streams"):
        if traffic != STEADY_TRAFFIC:
            raise InputError(f"{said}: no requests arrive; --goal server or streams has such")
        return None
    if options.latency_ms is None:
        raise InputError(f"{said}: needs --latency-ms, what 99 of 100 requests may take")
    traffic = traffic.model_copy(update={"latency_ms": options.latency_ms})
    if goal == "server":
        if traffic.windows is not None:
            raise InputError(f"{said}: recordings stay whole; --window and --hop are of streams")
        rate_per_s = first_rate(options.latency_ms)
        (load,) = traffic.model_copy(update={"rates": (rate_per_s,)}).at_rates()
        return load
    if traffic.trace or traffic.gamma_shape != 1:
        raise InputError(f"{said}: streams are regular; --gamma and --trace are of --goal server")
    if options.lengths is not None:
        raise InputError(f"{said}: windows are all alike; leave --lengths out, or name --audio")
    (load,) = traffic.model_copy(update={"streams": (FIRST_STREAMS,)}).of_streams()
    return load


def _choices(
    options: TuneOptions, size: int, say: Callable[[str], None], *, lossy: bool
) -> list[Cell]:
    """Return the engines that are raced, each in its precisions; the default is first."""
    default = default_engine(options.model)
    with as_input(ValueError, EngineError):
        found = [
            space.choice(
                spec._replace(precision=precision),
                default_form(spec.name),
                model=options.model,
                chunk_samples=size,
            )
            for spec in options.engines or _installed(options.libraries, say)
            for precision in _precisions(spec, options, lossy=lossy)
        ]
    if not found:
        raise InputError("no engine is left to race; see: rtfbench engines")
    return sorted(
        found,
        key=lambda each: (each.precision != FLOAT32, each.engine != default, bool(each.settings)),
    )


def _installed(
    libraries: Mapping[str, Path | None], say: Callable[[str], None]
) -> list[EngineSpec]:
    """Return every engine that computes something, and is not another under its own name.

    One that brings its front end gives other embeddings, and is raced only where it is named.
    """
    found = []
    registry.vet(registry.names())
    for name in registry.names():
        try:
            engine = registry.get(name)
        except EngineError as error:
            say(f"left out: {error}")
            continue
        placed = not engine.stands_in or names.homes_of([name], {name: libraries.get(name)})
        if engine.computes and placed and not engine.front_end:
            found.append(EngineSpec(name, {}))
    return found


def _precisions(spec: EngineSpec, options: TuneOptions, *, lossy: bool) -> tuple[Precision, ...]:
    if spec.precision is not None:
        return (spec.precision,)
    known = registry.get(spec.name).precisions
    asked = options.precisions or (COMPUTED if lossy else (FLOAT32,))
    return tuple(each for each in asked if each in known)


def _trials(options: TuneOptions, front_end: FrontEnd) -> TrialSet | None:
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
        audio or options.audio,
        channel=options.channel,
        resample=options.resample,
        front_end=front_end,
    )
    if checked.errors:
        raise InputError(checked.errors[0])
    read = trial_check.check_covered(path, [source.name for source in checked.sources])
    found = speakers(read).count
    if found < LEAST_SPEAKERS:
        raise InputError(
            f"{path}: has {found} speakers; a loss of EER takes {LEAST_SPEAKERS} or more"
        )
    return TrialSet(path, checked.sources, len(read), options.max_eer_loss)


def _notes(options: TuneOptions, course: Tuning, found: Answer, *, lossy: bool) -> list[str]:
    notes = []
    if not lossy and not options.precisions and not options.engines:
        notes.append(NO_TRIALS)
    first = found.named or next((each for each in found.entries if each.fate == "leads"), None)
    default = course.wanted.choices[0].chunk_samples
    if first is not None and first.cell.chunk_samples != default:
        notes.append(OTHER_SIZE.format(size=first.cell.chunk_samples, default=default))
    patience = course.context.patience
    if patience is not None and patience.discarded:
        notes.append(DISTURBED.format(discarded=patience.discarded, taken=patience.taken))
    return notes
