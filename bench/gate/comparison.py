"""A comparison from the question to the answer: cells with two sides, prepared and measured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base.memory import MemoryLimit
from bench.base.scratch import process_folder
from bench.embed import audio_input
from bench.gate import baseline as baselines
from bench.gate import measure, sides
from bench.gate.baseline import MARGIN, Baseline, Side
from bench.gate.measure import Found, Sides
from bench.gate.verdict import criteria
from bench.measure.context import Progress, RunContext
from bench.measure.schedule import draw_seed
from bench.models import homes, names
from bench.models.resolve import Asked, resolve
from bench.models.workload import Prepared
from bench.plan.engine_spec import parse_engine
from bench.plan.plan_files import load_plan
from bench.plan.sweep import Plan, expand
from bench.report import figures
from bench.results.cells import Cell
from bench.results.store import RunFolder

#: Short ones make short slots, so that a session of a large model is over soon.
UTTERANCES = 4


@dataclass(frozen=True)
class Comparison:
    """What is asked: cells, what each is held against, and how much slower it may be.

    `margin` is the share under which nothing is called slower, `max_regression` the one under which
    an RTF's interval must stay to pass; measuring may take `budget_s`, the start of its processes
    included. The seed is drawn where none is given: a fixed one would favour the same side always.
    A process that takes more than `memory` allows ends its side.
    """

    title: str
    cells: Sequence[Cell]
    baseline: Side
    candidate: Side
    max_regression: float
    budget_s: float
    margin: float = MARGIN
    seed: int | None = None
    memory: MemoryLimit = field(default_factory=MemoryLimit)

    @classmethod
    def with_baseline(
        cls,
        held: Baseline,
        *,
        budget_s: float,
        max_regression: float | None = None,
        seed: int | None = None,
        max_rss_mb: float | None = None,
    ) -> "Comparison":
        """Hold what is installed against a baseline; `max_regression` replaces the baseline's own.

        Raises:
            InputError: a cell of the baseline cannot be.
        """
        plan = Plan(**held.model_dump(include=set(Plan.model_fields) - {"sweep"}))
        return cls(
            title=held.title or f"against {held.side.label}",
            cells=expand(plan, names.default_form),
            baseline=held.side,
            candidate=Side(),
            max_regression=held.max_regression if max_regression is None else max_regression,
            budget_s=budget_s,
            margin=held.margin,
            seed=seed,
            memory=MemoryLimit.of_megabytes(max_rss_mb),
        )

    @classmethod
    def of_specs(
        cls,
        base: str,
        candidate: str,
        *,
        model: str,
        threads: int,
        chunk_samples: int,
        budget_s: float,
        max_regression: float,
        seed: int | None = None,
        max_rss_mb: float | None = None,
    ) -> "Comparison":
        """Hold two specifications against each other, such as `mnn@3.6.0` and `mnn`.

        Raises:
            InputError: one cannot be read, or the cell cannot be.
        """
        first, second = baselines.parse_side(base), baselines.parse_side(candidate)
        flags = {"models": (model,), "threads": (threads,), "chunk_samples": (chunk_samples,)}
        plan = load_plan(None, flags | {"protocols": ("steady",)})
        return cls(
            title=f"{second.label} against {first.label}",
            cells=expand(plan, names.default_form)[:1],
            baseline=first,
            candidate=second,
            max_regression=max_regression,
            budget_s=budget_s,
            seed=seed,
            memory=MemoryLimit.of_megabytes(max_rss_mb),
        )

    def run(self, progress: Progress) -> Found:
        """Measure until every cell has its answer or the budget is spent.

        Raises:
            InputError: a side cannot be prepared.
        """
        sources = audio_input.shortest(UTTERANCES)
        with (
            TemporaryDirectory(dir=process_folder()) as scratch,
            RunFolder.create(Path(scratch), overwrite=False, resume=False) as folder,
        ):
            context = RunContext(
                folder=folder,
                sources=sources,
                progress=progress,
                seed=draw_seed() if self.seed is None else self.seed,
                memory=self.memory,
            )
            return measure.run(
                [self._sides(cell, context) for cell in self.cells],
                context,
                criteria(margin=self.margin, max_regression=self.max_regression),
                budget_s=self.budget_s,
            )

    def _sides(self, cell: Cell, context: RunContext) -> Sides:
        """Prepare both sides of a cell."""
        phase = context.progress.phase
        base, candidate = self.baseline, self.candidate
        model = (candidate.model or Path(cell.model)).name
        name = f"{model}, {candidate.engine or cell.engine_label}"
        # What is refused for its revision should not have waited for a model file.
        pythons = [
            sides.interpreter_for(side.packages, side.revision, phase=phase)
            for side in (candidate, base)
        ]
        return Sides(
            name=f"{name}, {figures.setting(*cell.setting)}, {cell.protocol}",
            candidate=_prepared(cell, candidate, context),
            baseline=_prepared(cell, base, context),
            candidate_python=pythons[0],
            baseline_python=pythons[1],
        )


def _prepared(cell: Cell, side: Side, context: RunContext) -> Prepared:
    """Return a side's cell with its files."""
    update: dict[str, object] = {}
    if side.model is not None:
        update["model"] = str(side.model)
    if side.engine is not None:
        spec = parse_engine(side.engine)
        form = names.default_form(spec.name)
        update |= {"engine": spec.name, "settings": spec.settings, "form": form}
        update["precision"] = spec.computes
    # A pinned package is what the side is about: no library that the environment names replaces it.
    folders: homes.Homes | None = {} if side.packages else None
    cells = [cell.model_copy(update=update)]
    return context.prepare_one(resolve(cells, folders=folders, asked=Asked(sizes=True)))
