"""Runs a sweep: every comparison up to its first look, then those that are not decided yet.

How long that still takes is told by what its sessions took so far.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from rtfbench.base.errors import InputError
from rtfbench.base.pace import Progress
from rtfbench.measure.context import RunContext
from rtfbench.measure.group import Group
from rtfbench.measure.job import Job
from rtfbench.measure.plan import Axes, Plan, axes_of
from rtfbench.measure.schedule import KEPT_FOR_THE_WIDEST, plan_course
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
        left = TimeLeft(groups, axes, budget.total_s, half_width=self._plan.half_width)
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


class Ahead(NamedTuple):
    """What a comparison still has to do.

    `starts` are processes to start, each in `start_s`, or as long as in others where that is None;
    `scored` are cells that embed the recordings of the trials.
    """

    starts: float = 0.0
    measuring_s: float = 0.0
    start_s: float | None = None
    scored: int = 0


class _NotBegun(NamedTuple):
    """The same of one that was not begun, and what sessions cost beyond those of its first look.

    `further` is how many processes those start that are declared.
    """

    first: Ahead
    further: int
    wide: "_Wide"


class _Wide(NamedTuple):
    """A comparison that gets further sessions, one by one, while it is the widest.

    `session_s` is what measuring one takes, `starts` and `start_s` are its processes; `width` is
    that of its interval, None where nothing is known of it.
    """

    sessions: int
    session_s: float
    starts: int
    start_s: float | None
    width: float | None


class TimeLeft:
    """What is left of a run; nothing is said before a process was started."""

    def __init__(
        self,
        groups: Sequence[Group],
        axes: Sequence[Axes],
        budget_s: float,
        *,
        half_width: float,
    ) -> None:
        self._all = list(zip(groups, axes, strict=True))
        self._budget_s, self._half_width = budget_s, half_width
        #: Whether a comparison is decided after so many sessions, and how wide it is.
        self._judged: dict[tuple[int, int], tuple[bool, float]] = {}

    def tell(self, progress: Progress) -> None:
        """Say how long the rest takes, once something is known of it.

        Comparisons may be decided at their first look, which is the least that is left, or go on as
        long as the budget lasts.
        """
        begun = [group for group, _ in self._all if group.looks]
        if not begun:
            return
        known = [group for group, _ in self._all if group.starts.done]
        guessed = list(self._guessed(begun))
        first = [*map(self._to_first_look, begun), *(each.first for each in guessed)]
        further = self._further(begun, first, guessed)
        start_s = known[-1].starts.piece_s or 0.0
        scored_s = next((g.scoring.piece_s for g in reversed(known) if g.scoring.done), None)
        least_s = sum(_seconds(each, start_s, scored_s or 0.0) for each in first)
        progress.left(least_s + _seconds(further, start_s, 0.0), least_s)

    def _left_s(self, first: Sequence[Ahead]) -> float:
        """Return what these leave of the budget."""
        spent_s = sum(group.spent_s for group, _ in self._all)
        return max(self._budget_s - spent_s - sum(each.measuring_s for each in first), 0.0)

    def _guessed(self, begun: Sequence[Group]) -> Iterator[_NotBegun]:
        """Guess of those that wait: their share, as sessions of what one that is known takes."""
        left_s, kept_s = self._budget_s, 0.0
        weights = sum(axes.weight for _, axes in self._all)
        for group, axes in self._all:
            share_s = max(left_s - kept_s, 0.0) * axes.weight / weights
            weights -= axes.weight
            if axes.sessions < SESSIONS_FOR_RANKS:
                kept_s += share_s * KEPT_FOR_THE_WIDEST
                share_s *= 1 - KEPT_FOR_THE_WIDEST
            if group.starts.done or not group.running:
                ahead_s = self._to_first_look(group).measuring_s if group.looks else 0.0
                left_s -= group.spent_s + ahead_s
                continue
            cells = len(group.running) + axes.ghost
            model = group.jobs[0].cell.model
            known = next((e for e in reversed(begun) if e.jobs[0].cell.model == model), begun[-1])
            expected_s, cycle = group.guessed_block(known)
            course = plan_course(
                budget_s=share_s,
                block_s=expected_s,
                sessions=axes.sessions,
                cycle=cycle,
                longest_s=left_s,
            )
            # What is planned by first chunks takes longer, as it did until now.
            block_s = expected_s * (known.stretch.mean_s or 1.0)
            # Sessions lose blocks where not all of theirs fit, and have one contrast at least.
            session_s = course.blocks * block_s
            measuring_s = max(
                min(course.looks[0] * session_s, left_s), course.looks[0] * cycle * block_s
            )
            left_s -= measuring_s
            yield _NotBegun(
                Ahead(
                    starts=course.looks[0] * cells,
                    measuring_s=measuring_s,
                    scored=len(group.running) * group.scores,
                ),
                further=(course.looks[-1] - course.looks[0]) * cells,
                wide=_Wide(course.looks[0], session_s, cells, None, None),
            )

    def _to_first_look(self, group: Group) -> Ahead:
        """Return what is left of the sessions of a comparison that were declared first."""
        if not group.running:
            return Ahead()
        sessions = max(group.looks[0] - group.sessions, 0)
        begun = min(sessions, int(group.is_on))
        stretch = 1.0
        if not group.stretch.done:  # it is told by first chunks alone, and others by blocks too
            known = [each.stretch.piece_s for each, _ in self._all if each.stretch.done]
            stretch = known[-1] or 1.0 if known else 1.0
        return Ahead(
            starts=(sessions - begun) * len(group.running),
            measuring_s=max(group.to_first_look_s(stretch) - begun * group.session_spent_s, 0.0),
            start_s=group.starts.piece_s,
        )

    def _further(
        self, begun: Sequence[Group], first: Sequence[Ahead], waiting: Sequence[_NotBegun]
    ) -> Ahead:
        """Return what comes after the first looks, if nothing is decided by then."""
        rest_s = self._left_s(first)
        undecided = [group for group in begun if group.running and not self._is_decided(group)]
        starts = sum(each.further for each in waiting) + sum(
            max(group.looks[-1] - max(group.sessions, group.looks[0]), 0) * len(group.running)
            for group in undecided
        )
        if starts:
            return Ahead(starts, rest_s)
        wide = [each.wide for each in waiting] + [
            _Wide(
                max(group.sessions, group.looks[0]),
                group.session_s,
                len(group.running),
                group.starts.piece_s,
                self._judge(group)[1] if group.sessions >= group.looks[0] else None,
            )
            for group in undecided
        ]
        return _narrowed(wide, rest_s, half_width=self._half_width)

    def _is_decided(self, group: Group) -> bool:
        """Say whether a comparison has come to its first look and is decided."""
        return group.sessions >= group.looks[0] and self._judge(group)[0]

    def _judge(self, group: Group) -> tuple[bool, float]:
        """Return whether a comparison is decided, and its width, as they were when last judged."""
        key = (id(group), group.sessions)
        if key not in self._judged:
            self._judged[key] = group.decided, group.width
        return self._judged[key]


def _narrowed(wide: Sequence[_Wide], left_s: float, *, half_width: float) -> Ahead:
    """Return what sessions one by one take, to whichever is widest, as long as they fit the time.

    One of which nothing is known is as wide as the widest that is; of those that are as wide, the
    one comes first that starts most processes for its time. An interval narrows with the root of
    its sessions.
    """
    fit = [each for each in wide if 0 < each.session_s <= left_s]
    widest = max((each.width for each in fit if each.width is not None), default=math.inf)
    waiting = [each if each.width is not None else each._replace(width=widest) for each in fit]
    starts, seconds = 0, 0.0

    def wants(each: _Wide) -> tuple[float, float]:
        return each.width or 0.0, each.starts / each.session_s

    while fitting := [
        each
        for each in waiting
        if each.sessions < SESSIONS_FOR_RANKS
        and each.session_s <= left_s
        and wants(each)[0] > half_width
    ]:
        each = max(fitting, key=wants)
        waiting.remove(each)
        narrower = wants(each)[0] * math.sqrt(each.sessions / (each.sessions + 1))
        waiting.append(each._replace(sessions=each.sessions + 1, width=narrower))
        left_s -= each.session_s
        seconds += each.session_s
        if each.start_s is None:
            starts += each.starts
        else:
            seconds += each.starts * each.start_s
    return Ahead(starts, seconds)


def _seconds(ahead: Ahead, start_s: float, scored_s: float) -> float:
    each_s = start_s if ahead.start_s is None else ahead.start_s
    return ahead.measuring_s + ahead.starts * each_s + ahead.scored * scored_s
