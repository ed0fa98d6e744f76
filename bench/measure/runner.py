"""Runs a sweep: every comparison up to its first look, then those that are not decided yet.

How long that still takes is told by what its sessions took so far.
"""

import math
from collections.abc import Collection, Iterator, Sequence
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
        left_s, kept_s = self._plan.budget_s, 0.0
        axes = [axes_of(self._plan, group.jobs[0].cell) for group in groups]
        ahead = TimeLeft(groups, axes, left_s, half_width=self._plan.half_width)
        for group in groups:
            group.learned = lambda: ahead.tell(self._context.progress)
        for index, group in enumerate(groups):
            share_s, kept_s = _share(axes[index:], left_s, kept_s)
            took_s = group.measure_first(
                share_s=share_s, longest_s=left_s, sessions=axes[index].sessions
            )
            left_s = max(left_s - took_s, 0.0)
        undecided = [group for group in groups if not group.decided]
        while undecided:
            took_s = 0.0
            for index, group in enumerate(undecided):
                took_s += group.measure_on((left_s - took_s) / (len(undecided) - index))
            left_s = max(left_s - took_s, 0.0)
            undecided = [group for group in undecided if took_s and not group.decided]
        self._narrow(groups, left_s)
        self._context.progress.left(0.0)

    def _narrow(self, groups: Sequence[Group], left_s: float) -> None:
        """Give what is left to the widest intervals, a session at a time.

        Only those of so few sessions that one more tells most; further ones would be a look that
        nobody declared.
        """
        while wide := [
            group
            for group in groups
            if group.sessions < SESSIONS_FOR_RANKS
            and not group.decided
            and 0 < group.session_s <= left_s
        ]:
            left_s -= max(wide, key=lambda group: group.width).measure_one()


def _share(axes: Sequence[Axes], left_s: float, kept_s: float) -> tuple[float, float]:
    """Return what the first of the comparisons that wait may measure, and what is kept after it.

    Of the seconds that are left, `kept_s` are kept for the widest already.
    """
    weight = axes[0].weight / sum(each.weight for each in axes)
    share_s = max(left_s - kept_s, 0.0) * weight
    own_s = share_s * KEPT_FOR_THE_WIDEST if axes[0].sessions < SESSIONS_FOR_RANKS else 0.0
    return share_s - own_s, kept_s + own_s


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
    """What a comparison still has to do up to its first look, and behind it.

    `starts` are processes to start, each in `start_s`, or as long as in others where that is None;
    `proofs` are those of a first session, which prove what they do; `scored` are cells that embed
    the recordings of the trials. If it is not decided before them, `further` are starts of the
    later sessions that are declared, and `wide` is of those beyond.
    """

    starts: float = 0.0
    measuring_s: float = 0.0
    start_s: float | None = None
    proofs: int = 0
    scored: int = 0
    further: int = 0
    wide: "_Wide | None" = None

    def seconds(self, start_s: float, proof_s: float = 0.0, scored_s: float = 0.0) -> float:
        """Return how long it takes up to the first look."""
        each_s = start_s if self.start_s is None else self.start_s
        starting_s = self.starts * each_s + self.proofs * proof_s
        return self.measuring_s + starting_s + self.scored * scored_s


class _Wide(NamedTuple):
    """A comparison that gets further sessions, one by one, while it is the widest.

    `session_s` is what measuring one takes, `starts` and `start_s` are its processes; `width` is
    that of its interval, None where nothing is known of it.
    """

    sessions: int
    session_s: float
    starts: int
    start_s: float | None = None
    width: float | None = None


class TimeLeft:
    """What is left of a run; nothing is said before a process was started."""

    def __init__(
        self, groups: Sequence[Group], axes: Sequence[Axes], budget_s: float, *, half_width: float
    ) -> None:
        self._groups, self._axes = groups, axes
        self._budget_s, self._half_width = budget_s, half_width
        #: Whether a comparison is decided after so many sessions, and how wide it is.
        self._judged: dict[tuple[int, int], tuple[bool, float]] = {}

    def tell(self, progress: Progress) -> None:
        """Say how long the rest takes, once something is known of it.

        Comparisons may be decided at their first look, which is the least that is left, or go on as
        long as the budget lasts.
        """
        if not any(group.looks for group in self._groups):
            return
        ahead = list(self._ahead())
        started = [group for group in reversed(self._groups) if group.starts.done]
        start_s = started[0].starts.piece_s or 0.0
        proof_s = next((group.proofs.piece_s for group in started if group.proofs.done), None)
        scored_s = next((group.scoring.piece_s for group in started if group.scoring.done), None)
        least_s = sum(each.seconds(start_s, proof_s or 0.0, scored_s or 0.0) for each in ahead)
        taken_s = sum(group.spent_s for group in self._groups)
        rest_s = max(self._budget_s - taken_s - sum(each.measuring_s for each in ahead), 0.0)
        if starts := sum(each.further for each in ahead):
            further = Ahead(starts, rest_s)
        else:
            wide = [each.wide for each in ahead if each.wide]
            further = _narrowed(wide, rest_s, half_width=self._half_width)
        progress.left(least_s + further.seconds(start_s), least_s)

    def _ahead(self) -> Iterator[Ahead]:
        """Yield what is ahead of each comparison; of those that wait, it is a guess."""
        left_s, kept_s = self._budget_s, 0.0
        for index, group in enumerate(self._groups):
            share_s, kept_s = _share(self._axes[index:], left_s, kept_s)
            found = Ahead()
            if group.running and group.looks:
                found = self._of_begun(group)
            elif group.running:
                found = self._of_waiting(group, self._axes[index], share_s, left_s)
            left_s -= group.spent_s + found.measuring_s
            yield found

    def _of_begun(self, group: Group) -> Ahead:
        """Return what is left of the sessions that were declared."""
        first, running = group.looks[0], len(group.running)
        sessions = max(first - group.sessions, 0)
        begun = min(sessions, int(group.is_on))
        stretch = 1.0
        if not group.stretch.done:  # it is told by first chunks alone, and others by blocks too
            known = [each.stretch.piece_s for each in self._groups if each.stretch.done]
            stretch = known[-1] or 1.0 if known else 1.0
        found = Ahead(
            starts=(sessions - begun) * running,
            measuring_s=max(group.to_first_look_s(stretch) - begun * group.session_spent_s, 0.0),
            start_s=group.starts.piece_s,
        )
        is_decided, width = (False, None) if sessions else self._judge(group)
        if is_decided:
            return found
        done = max(group.sessions, first)
        wide = _Wide(done, group.session_s, running, group.starts.piece_s, width)
        return found._replace(further=max(group.looks[-1] - done, 0) * running, wide=wide)

    def _of_waiting(self, group: Group, axes: Axes, share_s: float, left_s: float) -> Ahead:
        """Guess of one that waits: its share, as sessions of what one that is known takes."""
        begun = [each for each in reversed(self._groups) if each.looks]
        model, cells = group.jobs[0].cell.model, len(group.running) + axes.ghost
        known = next((each for each in begun if each.jobs[0].cell.model == model), begun[0])
        expected_s, cycle = group.guessed_block(known)
        course = plan_course(
            budget_s=share_s,
            block_s=expected_s,
            sessions=axes.sessions,
            cycle=cycle,
            longest_s=left_s,
        )
        first = course.looks[0]
        # What is planned by first chunks takes longer, as it did until now.
        block_s = expected_s * (known.stretch.mean_s or 1.0)
        session_s = course.blocks * block_s
        return Ahead(
            starts=first * cells,
            # Sessions lose blocks where not all of theirs fit, and have one contrast at least.
            measuring_s=max(min(first * session_s, left_s), first * cycle * block_s),
            proofs=cells,
            scored=len(group.running) * group.scores,
            further=(course.looks[-1] - first) * cells,
            wide=_Wide(first, session_s, cells),
        )

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
