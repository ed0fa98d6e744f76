"""Runs a sweep: every comparison up to its first look, then those that are not decided yet."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from rtfbench.base.errors import InputError
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.measure.plan import Plan, axes_of
from rtfbench.measure.schedule import KEPT_FOR_THE_WIDEST
from rtfbench.measure.time_left import TimeLeft
from rtfbench.models.resolve import Resolved
from rtfbench.results.cells import Condition
from rtfbench.results.estimate import SESSIONS_FOR_RANKS


@dataclass
class Budget:
    """Seconds of measuring; loading is not in it."""

    total_s: float
    spent_s: float = 0.0

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(self.total_s - self.spent_s, 0.0)


class Runner:
    """One run into one folder."""

    def __init__(self, plan: Plan, context: RunContext) -> None:
        self._plan = plan
        self._context = context

    def take_up(self, resolved: Resolved) -> list[Group]:
        """Declare what is to be measured, and return it.

        Comparisons that the folder holds complete are left as they are; one that gets a new cell
        is measured again as a whole.

        Raises:
            InputError: a comparison is to be measured again without a cell that the folder holds.
        """
        context = self._context
        done = context.kept.finished
        asked = [Job.of(ready) for ready in context.prepare(resolved)]
        again = {
            job.cell.condition
            for job in asked
            if job.cell_id not in done and job.prepared.refusal is None
        }
        jobs = [job for job in asked if job.cell_id not in done or job.cell.condition in again]
        _refuse_left_out(context, {job.cell_id for job in asked}, again)
        return [
            Group(same, context, ghost=axes_of(self._plan, same[0].cell).ghost)
            for _, found in groupby(jobs, key=lambda job: job.cell.condition)
            for same in [list(found)]
        ]

    def run(self, groups: Sequence[Group]) -> None:
        """Measure cells; each ends with an `Outcome`, whatever happens to it.

        After Ctrl-C, all that was measured is in the folder.
        """
        try:
            self._measure([group for group in groups if group.running])
        except KeyboardInterrupt:
            for group in groups:
                group.interrupt()
            raise

    def _measure(self, groups: Sequence[Group]) -> None:
        """Give each comparison its share, then what is left to those that are not decided."""
        budget = Budget(self._plan.budget_s)
        axes = [axes_of(self._plan, group.jobs[0].cell) for group in groups]
        left = TimeLeft(groups, axes, budget.total_s)
        for group in groups:
            group.learned = lambda: left.tell(self._context.progress)
        kept_s = 0.0
        for index, group in enumerate(groups):
            weight = axes[index].weight / sum(a.weight for a in axes[index:])
            share_s = max(budget.left_s - kept_s, 0.0) * weight
            if axes[index].sessions < SESSIONS_FOR_RANKS:
                kept_s += share_s * KEPT_FOR_THE_WIDEST
                share_s *= 1 - KEPT_FOR_THE_WIDEST
            budget.spent_s += group.measure_first(
                share_s=share_s, longest_s=budget.left_s, sessions=axes[index].sessions
            )
        undecided = [group for group in groups if not group.decided]
        while undecided:
            took_s = 0.0
            for index, group in enumerate(undecided):
                took_s += group.measure_on((budget.left_s - took_s) / (len(undecided) - index))
            budget.spent_s += took_s
            undecided = [group for group in undecided if took_s and not group.decided]
        self._narrow(groups, budget)
        self._context.progress.left(0.0)

    def _narrow(self, groups: Sequence[Group], budget: Budget) -> None:
        """Give what is left to the widest intervals, a session at a time.

        Only those of so few sessions that one more tells most; further ones would be a look that
        nobody declared.
        """
        while True:
            wide = [
                group
                for group in groups
                if group.sessions < SESSIONS_FOR_RANKS
                and not group.decided
                and 0 < group.session_s <= budget.left_s
            ]
            if not wide:
                return
            budget.spent_s += max(wide, key=lambda group: group.width).measure_one()


def _refuse_left_out(
    context: RunContext, asked: Collection[str], again: Collection[Condition]
) -> None:
    """Refuse to leave out what was measured: without taking turns it cannot be compared.

    Raises:
        InputError: a stored cell of a comparison that is to be measured again is not asked for.
    """
    folder, kept = context.folder, context.kept
    for cell_id, data in folder.originals().items():
        measured = data.outcome is not None and data.outcome.status == "ok"
        outdated = cell_id in kept.stale or data.cell.condition in again
        if measured and cell_id not in asked and outdated:
            cell = data.cell
            changed = f"measured otherwise ({'; '.join(kept.reasons)})"
            other = changed if kept.reasons else "from another model file or list of engines"
            raise InputError(
                f"{folder.path}: holds {cell.model} on {cell.engine_label} {other}, and what is "
                "measured now cannot be compared with it; ask for it too, or choose another --out"
            )
