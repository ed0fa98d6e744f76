"""Two sides held against each other, whether they are prepared and measured now, or were before."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from scipy import special

from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.base.scratch import process_folder
from rtfbench.embed import audio_input
from rtfbench.gate import baseline as baselines
from rtfbench.gate import measure, report, sides
from rtfbench.gate.baseline import MARGIN, Baseline, GateOptions, Side
from rtfbench.gate.measure import GatedCell, Held
from rtfbench.gate.verdict import Answer, Ruling, criteria
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.plan import Plan, expand, load_plan
from rtfbench.measure.schedule import draw_seed
from rtfbench.measure.whole_run import read_stored
from rtfbench.models import names
from rtfbench.models.resolve import Asked, resolve
from rtfbench.models.workload import Prepared
from rtfbench.report import figures
from rtfbench.results.cells import Cell
from rtfbench.results.host import BETWEEN_HOURS, differences
from rtfbench.results.protocols import STEADY
from rtfbench.results.rows import Ratio, Summary
from rtfbench.results.store import RECORDS, RunFolder

#: Short ones make short slots, so that a session of a large model is over soon.
UTTERANCES = 4


@dataclass(frozen=True)
class Comparison:
    """What is asked: cells, what each is held against, and how much slower it may be.

    `margin` is the share under which nothing is called slower, `max_regression` the one under which
    an RTF's interval must stay to pass.
    """

    title: str
    cells: Sequence[Cell]
    baseline: Side
    candidate: Side
    options: GateOptions
    max_regression: float
    margin: float = MARGIN
    #: Seconds of the windows that recordings are cut into, and from one to the next.
    windows: tuple[float, float] | None = None

    @classmethod
    def with_baseline(cls, held: Baseline, options: GateOptions) -> "Comparison":
        """Hold what is installed against a baseline.

        Raises:
            InputError: a cell of the baseline cannot be.
        """
        # What is not set stays so: without a chunk size, live streams take their window's.
        fields = held.model_dump(include=set(Plan.model_fields) - {"sweep"}, exclude_unset=True)
        plan = Plan(**fields | {"protocols": held.protocols})
        return cls(
            title=held.title or f"head as installed, base {held.side.label}",
            cells=expand(plan, names.default_form, cores=core_count()),
            baseline=held.side,
            candidate=Side(),
            options=replace(options, reading=plan.reading),
            max_regression=options.limit(held.max_regression),
            margin=held.margin,
            windows=plan.cut,
        )

    @classmethod
    def of_specs(cls, base: str, candidate: str, options: GateOptions) -> "Comparison":
        """Hold two specifications against each other, such as `mnn@3.6.0` and `mnn`.

        Raises:
            InputError: one cannot be read, or the cell cannot be.
        """
        first, second = baselines.parse_side(base), baselines.parse_side(candidate)
        flags = {
            "models": (options.model,),
            "devices": (options.device,),
            "threads": (options.threads,),
            "chunk_samples": (options.chunk_samples,),
            "protocols": (STEADY.name,),
        }
        plan = load_plan(None, flags)
        # Two files of one name are told by their whole paths.
        told = (first.label, second.label) if first.label != second.label else (base, candidate)
        return cls(
            title=f"head {told[1]}, base {told[0]}",
            cells=expand(plan, names.default_form)[:1],
            baseline=first,
            candidate=second,
            options=options,
            max_regression=options.limit(),
        )

    def run(self, progress: Progress | None = None) -> Held:
        """Measure until every cell has its answer or the budget is spent.

        Raises:
            InputError: a side cannot be prepared.
        """
        also = self.options.also
        sources = audio_input.shortest(UTTERANCES)
        if self.windows is not None:
            sources = audio_input.check_audio((), windows=self.windows).sources
        with (
            TemporaryDirectory(dir=process_folder()) as scratch,
            RunFolder.create(Path(scratch), overwrite=False, resume=False) as folder,
        ):
            context = RunContext(
                folder=folder,
                sources=sources,
                progress=progress or Progress(),
                seed=draw_seed() if self.options.seed is None else self.options.seed,
                memory=self.options.memory,
            )
            note = cache(context.progress.note)  # which says a line once
            found = measure.run(
                [self._gated(cell, context, note) for cell in self.cells],
                context,
                criteria(margin=self.margin, max_regression=self.max_regression, also=also),
                budget_s=self.options.budget_s,
                also=also,
            )
        again = f"`--seed {found.seed}` repeats the order of all turns."
        why = ": a session is measured to its end"
        took = figures.spent(found.seconds, self.options.budget_s, why)
        notes = [f"Measured for {took}. {again}"]
        if found.interrupted:
            notes.append("Interrupted: judged by what was measured until then.")
        return replace(found, title=self.title, notes=notes)

    def _gated(self, cell: Cell, context: RunContext, note: Callable[[str], None]) -> GatedCell:
        """Prepare both sides of a cell, and tell how their files are fed."""
        both = self.candidate, self.baseline
        model = (self.candidate.model or Path(cell.model)).name
        name = f"{model}, {self.candidate.engine or cell.engine_label}"
        # What is refused for its revision should not have waited for a model file.
        pythons = [
            sides.interpreter_for(each.packages, each.revision, phase=context.progress.step)
            for each in both
        ]
        head, base = (
            Job.of(self._prepared(cell, side, context, note), python)
            for side, python in zip(both, pythons, strict=True)
        )
        told = f"{name}, {figures.setting(*cell.setting)}, {cell.protocol}"
        return GatedCell(told, head, base, context)

    def _prepared(
        self, cell: Cell, side: Side, context: RunContext, note: Callable[[str], None]
    ) -> Prepared:
        """Return a side's cell with its files."""
        update: dict[str, object] = {} if side.model is None else {"model": str(side.model)}
        if (spec := side.engine) is not None:
            update |= {"engine": spec.name, "settings": spec.settings, "precision": spec.computes}
            update["form"] = names.default_form(spec.name)
        # A pinned package is what the side is about: no library of the environment replaces it.
        folders: names.Homes | None = {} if side.packages else None
        cells = [cell.model_copy(update=update)]
        resolved = resolve(
            cells, folders=folders, asked=Asked(reading=self.options.reading, sizes=True)
        )
        for line in resolved.notes:
            note(line)
        return context.prepare_one(resolved)


#: How often any of the ratios may be called slower or passed wrongly.
ALPHA = 0.05

WHY_NO_ABSOLUTE = (
    "Absolute times are not compared: two hours of one host differ by more than engines do. "
    "Compared are the ratios to the reference engine."
)


def compare_runs(
    base: Summary, candidate: Summary, *, margin: float, max_regression: float
) -> list[Ruling]:
    """Return a ruling for every ratio that both runs have; of two hosts, none is judged.

    Intervals hold together (Bonferroni).
    """
    old = {_key(ratio): ratio for ratio in base.ratios}
    both = [(old[_key(ratio)], ratio) for ratio in candidate.ratios if _key(ratio) in old]
    elsewhere = differences(base.environment, candidate.environment)
    single = float(special.ndtri(1 - ALPHA / 2))
    factor = float(special.ndtri(1 - ALPHA / 2 / max(len(both), 1)))
    rulings = []
    for before, after in both:
        ruling = partial(Ruling, _name(after), f"× {after.reference}", limit=max_regression)
        change = after.ratio / before.ratio
        if elsewhere:
            both_told = f"{before.ratio:.3f} in the base, {after.ratio:.3f} in the head"
            why = f"not judged: other host; {both_told}"
            rulings.append(ruling("inconclusive", why=why))
        elif before.ci95 is None or after.ci95 is None:
            why = "not judged: a run has no interval"
            rulings.append(ruling("inconclusive", change, why=why))
        else:
            widths = (math.log(ci[1] / ci[0]) / 2 / single for ci in (before.ci95, after.ci95))
            half = factor * math.sqrt(sum(width**2 + BETWEEN_HOURS**2 for width in widths))
            low, high = change * math.exp(-half), change * math.exp(half)
            answer: Answer = "pass" if high <= 1 + max_regression else "inconclusive"
            if low > 1 + min(margin, max_regression):
                answer = "regression"
            rulings.append(ruling(answer, change, (low, high)))
    return rulings


def _name(ratio: Ratio) -> str:
    setting = figures.setting(*ratio.setting)
    return f"{ratio.model}, {ratio.engine} {ratio.form}, {setting}, {ratio.protocol}"


def _key(ratio: Ratio) -> tuple[object, ...]:
    return ratio.condition, ratio.engine, ratio.form, ratio.reference, ratio.reference_form


def hold(base: str, candidate: str, options: GateOptions, progress: Progress) -> Held:
    """Hold two specifications or two finished runs against each other.

    Raises:
        InputError: a side cannot be read or prepared.
    """
    folders = [Path(text) for text in (base, candidate)]
    if all((folder / RECORDS).is_file() for folder in folders):
        return hold_stored(*folders, options=options)
    return Comparison.of_specs(base, candidate, options).run(progress)


def hold_stored(base: Path, candidate: Path, *, options: GateOptions) -> Held:
    """Compare two finished runs.

    Raises:
        InputError: they have no ratio in common.
    """
    before, after = (read_stored(path)[1] for path in (base, candidate))
    rulings = compare_runs(before, after, margin=MARGIN, max_regression=options.limit())
    if not rulings:
        raise InputError(f"{base} and {candidate}: no ratio was measured in both")
    other = differences(before.environment, after.environment)
    notes = report.other_host(other) if other else [WHY_NO_ABSOLUTE]
    return Held(rulings, f"head {candidate}, base {base}", notes, other_host=bool(other))
