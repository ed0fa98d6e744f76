"""A comparison from the question to the answer: cells with two sides, prepared and measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.embed import audio_input
from bench.gate import baseline as baselines
from bench.gate import measure, sides
from bench.gate.baseline import MARGIN, Baseline, Side
from bench.gate.measure import Found, Sides
from bench.gate.verdict import criteria
from bench.measure.session import Progress, RunContext
from bench.models import homes, names, user_models
from bench.models.workload import Prepared
from bench.plan.engine_spec import parse_engine
from bench.plan.plan_files import load_plan
from bench.plan.sweep import Plan, expand
from bench.results.cells import Cell
from bench.results.store import RunFolder


@dataclass(frozen=True)
class Comparison:
    """What is asked: cells, what each is held against, and how much slower it may be.

    `margin` is the share under which nothing is called slower, `most` the one under which an RTF's
    interval must stay to pass; `budget_s` seconds of measuring may be spent.
    """

    title: str
    cells: Sequence[Cell]
    baseline: Side
    candidate: Side
    most: float
    budget_s: float
    margin: float = MARGIN

    @classmethod
    def with_baseline(
        cls, held: Baseline, *, budget_s: float, most: float | None = None
    ) -> "Comparison":
        """Hold what is installed against a baseline; `most` replaces the baseline's own.

        Raises:
            InputError: a cell of the baseline cannot be.
        """
        plan = Plan(**held.model_dump(include=set(Plan.model_fields) - {"sweep"}))
        return cls(
            title=held.title or f"against {held.side.label}",
            cells=expand(plan, names.default_form),
            baseline=held.side,
            candidate=Side(),
            most=held.max_regression if most is None else most,
            budget_s=budget_s,
            margin=held.margin,
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
        most: float,
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
            most=most,
            budget_s=budget_s,
        )

    def run(self, progress: Progress) -> Found:
        """Measure until every cell has its answer or the budget is spent.

        Raises:
            InputError: a side cannot be prepared.
        """
        sources = tuple(audio_input.check_audio(()).sources)
        with TemporaryDirectory(prefix="rtfbench-gate-") as scratch:
            context = RunContext(
                folder=RunFolder.create(Path(scratch), overwrite=False, resume=False),
                sources=sources,
                progress=progress,
                precision=self.margin,
            )
            return measure.run(
                [self._sides(cell, context) for cell in self.cells],
                context,
                criteria(margin=self.margin, most=self.most),
                budget_s=self.budget_s,
            )

    def _sides(self, cell: Cell, context: RunContext) -> Sides:
        """Prepare both sides of a cell."""
        phase = context.progress.phase
        base, candidate = self.baseline, self.candidate
        name = f"{cell.model}, {candidate.engine or cell.engine_label}, {cell.threads} thr"
        return Sides(
            name=f"{name}, {cell.chunk_samples}, {cell.protocol}",
            candidate=_prepared(cell, candidate, context),
            baseline=_prepared(cell, base, context),
            candidate_python=sides.interpreter_for(
                candidate.packages, candidate.revision, phase=phase
            ),
            baseline_python=sides.interpreter_for(base.packages, base.revision, phase=phase),
        )


def _prepared(cell: Cell, side: Side, context: RunContext) -> Prepared:
    """Return a side's cell with its files."""
    model = str(side.model) if side.model else cell.model
    # A pinned package is what the side is about: no library that the environment names replaces it.
    engine = side.engine or cell.engine_label
    engine = homes.place(engine, {} if side.packages else homes.named([engine]))
    names.check_names([model], [engine])
    homes.check_homes([engine])
    spec = parse_engine(engine)
    form = cell.form if side.engine is None else names.default_form(spec.name)
    update = {"model": model, "engine": spec.name, "settings": spec.settings, "form": form}
    users = user_models.load_user_models([model])
    (fitting,) = user_models.fit(
        [cell.model_copy(update=update)], users, sizes_given=True, forms_given=False
    )
    return context.prepare_one(fitting, users)
