"""What a tuning found: who is named, who cannot be told from it, who is out and why."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from bench.base.values import Interval, Value
from bench.embed.trial_check import POINTS
from bench.measure.job import Job
from bench.results.cells import Cell
from bench.results.contrasts import estimate_ratio
from bench.results.sequential import LOOKS
from bench.tune.accuracy import computed
from bench.tune.course import LAST, Course, Heat
from bench.tune.limits import memory_mb, p95_ms, times_real_time
from bench.tune.racing import Race, is_decided
from bench.tune.space import Goal, distance, label
from bench.tune.standings import Standing

#: Who is this near to the leader may be named in its place.
NEAR = 0.01
#: The last heat takes about so many sessions, where nothing is known of it yet.
SESSIONS_USUAL = 5
#: How often an interval of the answer may miss.
ALPHA = 0.05

Fate = Literal["named", "leads", "tied", "open", "out"]


class Entry(Value):
    """A configuration of the race.

    `ratio` is its time over that of the named one, or of the leader of the heat in which it was
    dropped; `times_real_time` and what follows are None where it never ran in that heat.
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
    eer_loss: Interval | None = None
    eer_loss_points: float | None = None
    sessions: int = 0


class Gain(Value):
    """How many times as fast the named configuration is as another, with its interval."""

    other: str
    factor: float
    interval: Interval


class HeatStory(Value):
    """A heat in short: how many entered, and who was left at its end, the leader first."""

    title: str
    entered: int
    sessions: int
    left: tuple[str, ...]


class Answer(Value):
    """The answer to which configuration is fastest here.

    `named` is None where it could not be told, and `needed_s` says what budget would do, None where
    none would.
    """

    goal: Goal
    title: str
    host: str
    cores: int
    margin: float
    decided: bool
    named: Entry | None
    against_default: Gain | None
    against_runner_up: Gain | None
    entries: tuple[Entry, ...]
    heats: tuple[HeatStory, ...]
    spent_s: float
    #: What embedding the trials took besides; 0 in answers of before it was told.
    trials_s: float = 0.0
    budget_s: float
    needed_s: float | None
    recordings: int
    recordings_s: float
    notes: tuple[str, ...] = ()


def answer(course: Course, *, host: str) -> Answer:
    """Return what a course found so far."""
    wanted = course.wanted
    race = course.last.race
    found = race.standings()
    whole = course.last.title == LAST
    decided = whole and is_decided(found)
    named = _named(race, found, course.default) if decided else None
    entries = list(_entries(course, named))
    others = [each for each in found if each.cell_id != named]
    runner_up = min(others, key=lambda each: each.ratio, default=None)
    default = next((job for job in race.jobs if job.cell == course.default), None)
    return Answer(
        goal=wanted.goal,
        title=race.reference.prepared.title,
        host=host,
        cores=wanted.cores,
        margin=wanted.margin,
        decided=decided,
        named=next((entry for entry in entries if entry.fate == "named"), None),
        against_default=_gain(race, named, default),
        against_runner_up=_gain(race, named, race.job(runner_up.cell_id) if runner_up else None),
        entries=tuple(entries),
        heats=tuple(map(_story, course.heats)),
        spent_s=course.spent_s,
        trials_s=course.trials_s,
        budget_s=wanted.budget_s,
        needed_s=None if decided else _needed_s(course, found),
        recordings=len(course.recordings.num_samples),
        recordings_s=course.recordings.audio_s,
    )


def _named(race: Race, found: Sequence[Standing], default: Cell | None) -> str:
    """Return who is named: of those near the leader, who differs least from the default.

    All that are left are tied with it. Who cannot be told from it is near, whatever its estimate:
    noise shall not decide what is changed.
    """
    near = [
        each
        for each in found
        if each.ratio <= 1 + NEAR or (each.interval is not None and each.interval[0] <= 1)
    ]
    if default is None:
        return near[0].cell_id
    return min(near, key=lambda each: distance(race.job(each.cell_id).cell, default)).cell_id


def _gain(race: Race, named: str | None, other: Job | None) -> Gain | None:
    if named is None or other is None or other.cell_id == named:
        return None
    estimate = estimate_ratio(other.data, race.job(named).data, alpha=ALPHA)
    if estimate is None or estimate.interval is None:
        return None
    return Gain(other=label(other.cell), factor=estimate.ratio, interval=estimate.interval)


def _entries(course: Course, named: str | None) -> Iterator[Entry]:
    """Yield every configuration, those of the last heats first, each group by its speed."""
    told: set[str] = set()
    for heat in reversed(course.heats):
        jobs = [heat.race.job(name) for name in heat.entered if name not in told]
        told |= {job.cell_id for job in jobs}
        rows = [_entry(course, heat, job, named) for job in jobs]
        yield from sorted(rows, key=lambda row: (_RANK[row.fate], row.ratio or math.inf))


_RANK: dict[Fate, int] = {"named": 0, "leads": 1, "tied": 2, "open": 3, "out": 4}


def _entry(course: Course, heat: Heat, job: Job, named: str | None) -> Entry:
    race = heat.race
    standing = race.last.get(job.cell_id)
    why = race.out.get(job.cell_id, "")
    fate: Fate = "out"
    if job.cell_id == named:
        fate = "named"
    elif race is course.last.race and not why:
        fate, why = _left(standing, course.wanted.margin)
        if standing is not None and standing.fate == "leads":
            fate = "leads"
    elif not why:
        why = "raced on in the next heat"
    loss = course.losses.get(computed(job.cell))
    return Entry(
        configuration=label(job.cell),
        cell=job.cell,
        heat=heat.title,
        fate=fate,
        why=why,
        ratio=_finite(standing.ratio) if standing else None,
        interval=standing.interval if standing else None,
        times_real_time=times_real_time(job.data),
        p95_ms=p95_ms(job.data),
        memory_mb=memory_mb(job),
        eer_loss=(POINTS * loss.low, POINTS * loss.high) if loss else None,
        eer_loss_points=POINTS * loss.loss if loss else None,
        sessions=len({record.session for record in job.data.records}),
    )


def _left(standing: Standing | None, margin: float) -> tuple[Fate, str]:
    """Return what became of one that was not dropped, and why it is not named."""
    if standing is None or standing.fate == "open":
        return "open", ""
    if standing.interval is not None and standing.interval[0] > 1 + margin:
        return "out", f"not faster: {standing.ratio:.2f} times as long as the leader"
    return "tied", ""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _story(heat: Heat) -> HeatStory:
    left = [label(heat.race.job(each.cell_id).cell) for each in heat.standings]
    return HeatStory(
        title=heat.title, entered=len(heat.entered), sessions=heat.race.sessions, left=tuple(left)
    )


def _needed_s(course: Course, found: Sequence[Standing]) -> float | None:
    """Return the budget that would probably decide, None where more of the same would not."""
    race = course.last.race
    if course.last.title != LAST or not found:
        return 2 * course.wanted.budget_s
    if race.sessions < LOOKS[0]:
        return math.ceil(course.spent_s + SESSIONS_USUAL * race.session_s)
    needed = [each.needed for each in found if each.fate == "open"]
    if not needed or None in needed:
        return None
    sessions = max(each for each in needed if each is not None) - race.sessions
    return math.ceil(course.spent_s + max(sessions, 1) * race.session_s)
