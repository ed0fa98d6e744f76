"""What a tuning found: the configuration that it names, those as good, those out and why."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from rtfbench.base.values import Interval, Value
from rtfbench.measure.job import Job
from rtfbench.measure.trial_check import POINTS
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.results.sequential import LOOKS
from rtfbench.tune.course import LAST, SIZES, Heat, Tuning, computed
from rtfbench.tune.racing import NO_TIME, Race, is_decided
from rtfbench.tune.space import Goal, distance, label
from rtfbench.tune.standings import Standing, near_leader

#: The last heat takes about so many sessions, where nothing is known of it yet.
SESSIONS_USUAL = 5

Fate = Literal["named", "leads", "tied", "open", "out"]


class Contender(Value):
    """A configuration of the race.

    `ratio` is its time over that of the named one, or of the leader of the heat in which it was
    dropped; where requests arrive at it, what those hold over what it holds. `times_real_time` and
    what follows are None where it never ran in that heat.
    """

    configuration: str
    cell: Cell
    heat: str
    fate: Fate
    why: str = ""
    ratio: float | None = None
    interval: Interval | None = None
    times_real_time: float | None = None
    p95_ms: float | None = None
    memory_mb: float | None = None
    #: Requests a second that it holds within the latency, where such arrive.
    held: float | None = None
    held_interval: Interval | None = None
    eer_loss: Interval | None = None
    eer_loss_points: float | None = None
    sessions: int = 0


class Gain(Value):
    """How many times as fast the named configuration is as another, with its interval."""

    other: str
    factor: float
    interval: Interval


class HeatStory(Value):
    """A heat in short: how many entered, and which were left at its end, the leader first."""

    title: str
    entered: int
    sessions: int
    left: tuple[str, ...]


class Answer(Value):
    """The answer to which configuration is fastest here.

    `named` is None where it could not be told, and `needed_s` says what budget would do, None where
    none would. `safe` is what to use until then: the one that is named, else the default where it
    may be the fastest, else the leader; None where none keeps the limits.
    """

    named: Contender | None
    safe: Contender | None = None
    goal: Goal
    #: How requests arrived, whatever their rate; None where none do.
    load: Load | None = None
    title: str
    host: str
    cores: int
    margin: float
    decided: bool
    against_default: Gain | None
    against_runner_up: Gain | None
    entries: tuple[Contender, ...]
    heats: tuple[HeatStory, ...]
    #: Measuring, which the budget is for; what starting processes and embedding the trials took.
    spent_s: float
    loading_s: float = 0.0
    trials_s: float = 0.0
    budget_s: float
    needed_s: float | None
    recordings: int
    recordings_s: float
    notes: tuple[str, ...] = ()

    @property
    def none_left(self) -> bool:
        """Whether all are out, and not for want of time: a larger budget would name none."""
        return all(entry.fate == "out" and entry.why != NO_TIME for entry in self.entries)


def answer(course: Tuning, *, host: str) -> Answer:
    """Return what a course found so far."""
    wanted = course.wanted
    race = course.last.race
    found = race.standings()
    whole = course.last.title == LAST
    decided = whole and is_decided(found) and not _had_no_time(course)
    named = _named(race, found, course.default) if decided else None
    entries = list(_entries(course, named))
    others = [each for each in found if each.cell_id != named]
    runner_up = min(others, key=lambda each: each.ratio, default=None)
    default = next((job for job in race.jobs.values() if job.cell == course.default), None)
    return Answer(
        goal=wanted.goal,
        load=wanted.load,
        title=race.reference.prepared.title,
        host=host,
        cores=wanted.cores,
        margin=wanted.margin,
        decided=decided,
        named=next((entry for entry in entries if entry.fate == "named"), None),
        safe=_safe(entries, course.default),
        against_default=_gain(race, named, default),
        against_runner_up=_gain(race, named, race.jobs[runner_up.cell_id] if runner_up else None),
        entries=tuple(entries),
        heats=tuple(map(_story, course.heats)),
        spent_s=course.spent_s,
        loading_s=course.loading_s,
        trials_s=course.trials_s,
        budget_s=wanted.budget_s,
        needed_s=None if decided else _needed_s(course, found),
        recordings=len(course.recordings.num_samples),
        recordings_s=course.recordings.audio_s,
    )


def _named(race: Race, found: Sequence[Standing], default: Cell | None) -> str:
    """Return what is named: of those near the leader, the one that differs least from the default.

    All that are left are tied with it.
    """
    near = near_leader(found)
    if default is None:
        return near[0].cell_id
    return min(near, key=lambda each: distance(race.jobs[each.cell_id].cell, default)).cell_id


def _safe(entries: Sequence[Contender], default: Cell | None) -> Contender | None:
    """Return what may be used, whether or not it is known to be the fastest."""
    left = [entry for entry in entries if entry.fate != "out"]
    usual = [entry for entry in left if entry.cell == default]
    return next((entry for entry in left if entry.fate == "named"), next(iter(usual or left), None))


def _gain(race: Race, named: str | None, other: Job | None) -> Gain | None:
    if named is None or other is None or other.cell_id == named:
        return None
    found = race.gain(race.jobs[named], other)
    return found and Gain(other=label(other.cell), factor=found[0], interval=found[1])


def _entries(course: Tuning, named: str | None) -> Iterator[Contender]:
    """Yield every configuration, those of the last heats first, each group by its speed."""
    told: set[str] = set()
    for heat in reversed(course.heats):
        jobs = [heat.race.jobs[name] for name in heat.entered if name not in told]
        told |= {job.cell_id for job in jobs}
        rows = [_entry(course, heat, job, named) for job in jobs]
        yield from sorted(rows, key=lambda row: (_RANK[row.fate], row.ratio or math.inf))


_RANK: dict[Fate, int] = {"named": 0, "leads": 1, "tied": 2, "open": 3, "out": 4}


def _entry(course: Tuning, heat: Heat, job: Job, named: str | None) -> Contender:
    race = heat.race
    standing = race.last.get(job.cell_id)
    why = race.out.get(job.cell_id, "")
    fate: Fate = "out"
    if job.cell_id == named:
        fate = "named"
    elif race is course.last.race and not why:
        fate, why = _left(race, standing, course.wanted.margin)
        if standing is not None and standing.fate == "leads":
            fate = "leads"
    elif not why:
        why = "raced on in the next heat"
    loss = course.losses.get(computed(job.cell))
    return Contender(
        configuration=label(job.cell),
        cell=job.cell,
        heat=heat.title,
        fate=fate,
        why=why,
        ratio=standing.ratio if standing and math.isfinite(standing.ratio) else None,
        interval=standing.interval if standing else None,
        **race.figures(job)._asdict(),
        eer_loss=(POINTS * loss.low, POINTS * loss.high) if loss else None,
        eer_loss_points=POINTS * loss.loss if loss else None,
    )


def _left(race: Race, standing: Standing | None, margin: float) -> tuple[Fate, str]:
    """Return the outcome of one that was not dropped, and why it is not named."""
    if standing is None or standing.fate == "open":
        return "open", ""
    if standing.interval is not None and standing.interval[0] > 1 + margin:
        return "out", f"not faster: {race.behind(standing.ratio)}"
    return "tied", ""


def _story(heat: Heat) -> HeatStory:
    left = tuple(label(heat.race.jobs[each.cell_id].cell) for each in heat.standings)
    sessions = heat.race.sessions
    return HeatStory(title=heat.title, entered=len(heat.entered), sessions=sessions, left=left)


def _had_no_time(course: Tuning) -> bool:
    """Say whether any was left out that might be the fastest; a chunk size is told as left out."""
    heats = [heat for heat in course.heats if heat.title != SIZES]
    entered = {name for heat in heats for name in heat.entered}
    return any(heat.race.out.get(name) == NO_TIME for heat in heats for name in entered)


def _needed_s(course: Tuning, found: Sequence[Standing]) -> float | None:
    """Return the budget that would probably decide, None where more of the same would not."""
    race = course.last.race
    if all(name in race.out for name in race.jobs) and not _had_no_time(course):
        return None
    if course.last.title != LAST or not found or _had_no_time(course):
        # A first session of all is measured whole, however short the budget is.
        return math.ceil(2 * max(course.wanted.budget_s, course.spent_s))
    if race.sessions < LOOKS[0]:
        return math.ceil(course.spent_s + SESSIONS_USUAL * race.session_s)
    needed = [each.needed for each in found if each.fate == "open"]
    if not needed or None in needed:
        return None
    sessions = max(each for each in needed if each is not None) - race.sessions
    return math.ceil(course.spent_s + max(sessions, 1) * race.session_s)
