"""A comparison from the question to the answer: cells with two sides, prepared and measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.scratch import process_folder
from rtfbench.embed import audio_input
from rtfbench.gate import baseline as baselines
from rtfbench.gate import measure, sides
from rtfbench.gate.baseline import Baseline, Side
from rtfbench.gate.measure import GateFindings, Sides
from rtfbench.gate.options import MARGIN, GateOptions
from rtfbench.gate.verdict import criteria
from rtfbench.measure.context import Progress, RunContext, Silent
from rtfbench.measure.plan import Plan, expand, load_plan
from rtfbench.measure.schedule import draw_seed
from rtfbench.models import homes, names
from rtfbench.models.resolve import Asked, resolve
from rtfbench.models.user_models import Reading
from rtfbench.models.workload import Prepared
from rtfbench.report import figures
from rtfbench.results.cells import Cell
from rtfbench.results.protocols import STEADY
from rtfbench.results.store import RunFolder

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

    @classmethod
    def with_baseline(cls, held: Baseline, options: GateOptions) -> "Comparison":
        """Hold what is installed against a baseline.

        Raises:
            InputError: a cell of the baseline cannot be.
        """
        plan = Plan(**held.model_dump(include=set(Plan.model_fields) - {"sweep"}))
        return cls(
            title=held.title or f"head as installed, base {held.side.label}",
            cells=expand(plan, names.default_form),
            baseline=held.side,
            candidate=Side(),
            options=replace(options, reading=plan.reading),
            max_regression=options.limit(held.max_regression),
            margin=held.margin,
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

    def run(self, progress: Progress | None = None) -> GateFindings:
        """Measure until every cell has its answer or the budget is spent.

        Raises:
            InputError: a side cannot be prepared.
        """
        sources, also = audio_input.shortest(UTTERANCES), self.options.also
        with (
            TemporaryDirectory(dir=process_folder()) as scratch,
            RunFolder.create(Path(scratch), overwrite=False, resume=False) as folder,
        ):
            context = RunContext(
                folder=folder,
                sources=sources,
                progress=progress or Silent(),
                seed=draw_seed() if self.options.seed is None else self.options.seed,
                memory=self.options.memory,
            )
            return measure.run(
                [self._sides(cell, context) for cell in self.cells],
                context,
                criteria(margin=self.margin, max_regression=self.max_regression, also=also),
                budget_s=self.options.budget_s,
                also=also,
            )

    def _sides(self, cell: Cell, context: RunContext) -> Sides:
        """Prepare both sides of a cell."""
        base, candidate = self.baseline, self.candidate
        model = (candidate.model or Path(cell.model)).name
        name = f"{model}, {candidate.engine or cell.engine_label}"
        # What is refused for its revision should not have waited for a model file.
        pythons = [
            sides.interpreter_for(side.packages, side.revision, phase=context.progress.step)
            for side in (candidate, base)
        ]
        return Sides(
            name=f"{name}, {figures.setting(*cell.setting)}, {cell.protocol}",
            candidate=_prepared(cell, candidate, context, self.options.reading),
            baseline=_prepared(cell, base, context, self.options.reading),
            candidate_python=pythons[0],
            baseline_python=pythons[1],
        )


def _prepared(cell: Cell, side: Side, context: RunContext, reading: Reading) -> Prepared:
    """Return a side's cell with its files."""
    update: dict[str, object] = {}
    if side.model is not None:
        update["model"] = str(side.model)
    if side.engine is not None:
        spec = side.engine
        form = names.default_form(spec.name)
        update |= {"engine": spec.name, "settings": spec.settings, "form": form}
        update["precision"] = spec.computes
    # A pinned package is what the side is about: no library that the environment names replaces it.
    folders: homes.Homes | None = {} if side.packages else None
    cells = [cell.model_copy(update=update)]
    resolved = resolve(cells, folders=folders, asked=Asked(reading=reading, sizes=True))
    for line in resolved.notes:
        context.progress.phase(line)
    return context.prepare_one(resolved)
