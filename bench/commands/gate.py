"""`rtfbench gate` and `rtfbench compare`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import audio_input, names, user_models
from bench.cache import replacing
from bench.commands.report import append_to_step_summary, read_summary
from bench.commands.run import progress_on_stderr
from bench.errors import InputError
from bench.gate import baseline as baselines
from bench.gate import measure, sides, stored
from bench.gate.baseline import Baseline, Side
from bench.gate.verdict import Answer, Line, criteria, overall
from bench.plan import Plan, expand, load_plan, parse_engine
from bench.records import Cell
from bench.report import gate as report
from bench.session import Settings
from bench.store import RECORDS, RunFolder
from bench.workload import Prepared

PASS, REGRESSION, INCONCLUSIVE = 0, 1, 3
STATUS: dict[Answer, int] = {
    "pass": PASS,
    "regression": REGRESSION,
    "inconclusive": INCONCLUSIVE,
}


@dataclass(frozen=True)
class Wanted:
    """Where the result goes, besides standard output."""

    junit: Path | None = None
    comment: Path | None = None
    github_summary: bool = False


@dataclass(frozen=True)
class Limits:
    """How much is allowed, and how long it may take."""

    budget_s: float
    margin: float = 0.02
    most: float = 0.05


def gate(
    baseline: Path | None,
    revision: str | None,
    *,
    max_regression: float | None,
    budget_s: float,
    wanted: Wanted,
) -> int:
    """Hold what is installed against a baseline, and return the exit status."""
    if (baseline is None) == (revision is None):
        raise InputError("name one of --baseline FILE and --against-rev REVISION")
    held = baselines.load(baseline) if baseline else Baseline(revision=revision)
    most = max_regression if max_regression is not None else held.max_regression
    cells = expand(
        Plan(**held.model_dump(include=set(Plan.model_fields) - {"sweep"})), names.default_form
    )
    title = held.title or f"against {held.side.label}"
    limits = Limits(budget_s, held.margin, most)
    return _run([(cell, held.side, Side()) for cell in cells], limits, title, wanted)


def compare(
    base: str,
    candidate: str,
    *,
    model: str,
    threads: int,
    chunk_samples: int,
    max_regression: float,
    budget_s: float,
    wanted: Wanted,
) -> int:
    """Hold two specifications or two finished runs against each other."""
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return _compare_stored(*folders, most=max_regression, wanted=wanted)
    first, second = baselines.parse_side(base), baselines.parse_side(candidate)
    limits = Limits(budget_s, most=max_regression)
    flags = {"models": (model,), "threads": (threads,), "chunk_samples": (chunk_samples,)}
    plan = load_plan(None, flags | {"protocols": ("steady",)})
    cell = expand(plan, names.default_form)[0]
    return _run([(cell, first, second)], limits, f"{second.label} against {first.label}", wanted)


def _run(
    asked: Sequence[tuple[Cell, Side, Side]], limits: Limits, title: str, wanted: Wanted
) -> int:
    sources = tuple(audio_input.check(()).sources)
    with TemporaryDirectory(prefix="rtfbench-gate-") as scratch, progress_on_stderr() as progress:
        settings = Settings(
            folder=RunFolder.create(Path(scratch), overwrite=False, resume=False),
            sources=sources,
            progress=progress,
            precision=limits.margin,
        )
        pairs = [_sides(cell, base, candidate, settings) for cell, base, candidate in asked]
        found = measure.run(
            pairs,
            settings,
            criteria(margin=limits.margin, most=limits.most),
            budget_s=limits.budget_s,
        )
    return _tell(list(found.lines), title, found.seconds, wanted)


def _sides(cell: Cell, base: Side, candidate: Side, settings: Settings) -> measure.Sides:
    """Prepare both sides of a cell."""
    phase = settings.progress.phase
    name = f"{cell.model}, {candidate.engine or cell.engine_label}, {cell.threads} thr"
    return measure.Sides(
        name=f"{name}, {cell.chunk_samples}, {cell.protocol}",
        candidate=_prepared(cell, candidate, settings),
        baseline=_prepared(cell, base, settings),
        candidate_python=sides.interpreter_for(candidate.packages, candidate.revision, phase=phase),
        baseline_python=sides.interpreter_for(base.packages, base.revision, phase=phase),
    )


def _prepared(cell: Cell, side: Side, settings: Settings) -> Prepared:
    """Return a side's cell with its files."""
    model = str(side.model) if side.model else cell.model
    engine = side.engine or cell.engine_label
    names.check([model], [engine])
    spec = parse_engine(engine)
    form = cell.form if side.engine is None else names.default_form(spec.name)
    update = {"model": model, "engine": spec.name, "settings": spec.settings, "form": form}
    users = user_models.load_all([model])
    (fitting,) = user_models.fit(
        [cell.model_copy(update=update)], users, sizes_given=True, forms_given=False
    )
    return settings.prepare_one(fitting, users)


def _compare_stored(base: Path, candidate: Path, *, most: float, wanted: Wanted) -> int:
    before, after = (read_summary(RunFolder(path)) for path in (base, candidate))
    lines = stored.compare(before, after, margin=0.02, most=most)
    if not lines:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    notes = [stored.WHY_NO_ABSOLUTE]
    advisory = not stored.same_host(before.environment, after.environment)
    if advisory:
        notes.append("The hosts differ, so this is advice: measure both sides on one machine.")
    status = _tell(lines, f"{candidate} against {base}", 0.0, wanted, notes)
    return INCONCLUSIVE if advisory and status == REGRESSION else status


def _tell(
    lines: list[Line], title: str, seconds: float, wanted: Wanted, notes: Sequence[str] = ()
) -> int:
    text = report.markdown(lines, title=title, notes=notes)
    print(text)
    if wanted.github_summary:
        append_to_step_summary(text)
    writers: list[tuple[Path | None, Callable[[], str]]] = [
        (wanted.junit, lambda: report.junit(lines, title=title, seconds=seconds)),
        (wanted.comment, lambda: text),
    ]
    for path, write in writers:
        if path is not None:
            try:
                with replacing(path) as part:
                    part.write_text(write(), encoding="utf-8")
            except OSError as error:
                raise InputError(f"{path}: cannot write here ({error.strerror})") from error
            print(path, file=sys.stderr)
    return STATUS[overall(lines)]
