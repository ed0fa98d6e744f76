"""The course of a tuning: heats on one core, then on all of them, until one is named."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from rtfbench.embed.audio_input import Source
from rtfbench.embed.intervals import Loss, losses, unresolved
from rtfbench.embed.trials import read_trials
from rtfbench.engines.protocol import FLOAT32
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.session import MeasuringSession
from rtfbench.measure.trial_check import POINTS, scores_of
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.results.sequential import LOOKS
from rtfbench.tune import space
from rtfbench.tune.racing import Limits, Race, is_decided
from rtfbench.tune.recordings import Recordings
from rtfbench.tune.serving import ServingRace
from rtfbench.tune.space import Goal
from rtfbench.tune.standings import Standing

#: A heat looks so many times, and drops those that are surely slower by more than its slack: what
#: later heats vary may make up for that much.
LOOKS_A_HEAT = 2
ENGINES_SLACK, SIZES_SLACK = 0.15, 0.05
#: Who is further behind by the heat's estimate is not raced on.
ENGINES_BEHIND, SIZES_BEHIND = 0.3, 0.1
#: Who is this near to the leader is raced on where it is nearest to the default.
NEARLY = 0.05
#: So much of the budget the heats on one core may take, by their end.
ENGINES_SHARE, SIZES_SHARE = 0.4, 0.65
SIZES, LAST = "chunk sizes", "all cores"
#: With more sessions than a look has, a race is not decided by more of the same.
MOST_SESSIONS = LOOKS[-1]


@dataclass(frozen=True)
class TrialSet:
    """Labelled pairs, their recordings, how many there are, and the points of EER to lose."""

    path: Path
    recordings: tuple[Source, ...]
    count: int
    most_loss: float


class EmbeddingKey(NamedTuple):
    """What an embedding depends on: in float32, engines agree."""

    how: str
    chunk_samples: int


def computed(cell: Cell) -> EmbeddingKey:
    """Return what a cell's embeddings depend on."""
    how = FLOAT32 if cell.precision == FLOAT32 else cell.engine_label
    return EmbeddingKey(how, cell.chunk_samples)


def too_much(loss: Loss, trials: TrialSet) -> str:
    """Say that a loss of EER is more than is allowed, or not known to be less; else nothing."""
    points, low, high = (POINTS * value for value in loss)
    most = trials.most_loss
    if high <= most:
        return ""
    text = f"EER {points:+.2f} points ({low:+.2f} to {high:+.2f})"
    if low > most:
        return f"{text}, and {most:g} are allowed"
    told = unresolved(loss, allowed=most / POINTS, trials=trials.count)
    return f"{text}: {told} (or a larger --max-eer-loss)"


def eer_losses(
    exact: Job, others: Sequence[Job], trials: TrialSet, context: RunContext
) -> dict[str, Loss]:
    """Return what configurations lose against the exact one, by their names.

    Each embeds the recordings of the trials once, in a process of its own; nothing is timed. One
    that fails, or whose embeddings are not complete, is left out.
    """
    # Fresh jobs: only its first session has a process embed what is scored.
    jobs = [Job.of(each.prepared) for each in (exact, *others)]
    with ExitStack() as stack:
        session = MeasuringSession(0, replace(context, scored=trials.recordings), stack)
        session.start(jobs)
        session.finish()
    read = read_trials(trials.path, labels=True)
    before, *after = (
        scores_of(read, context.folder.embeddings / f"{job.cell_id}.npz") for job in jobs
    )
    if before is None:
        return {}
    return {
        job.cell_id: found.eer
        for job, own in zip(others, after, strict=True)
        if own is not None
        for found in [losses(read, before, own)]
        if found is not None
    }


Prepare = Callable[[Sequence[Cell]], list[Prepared]]
#: Tells by their names what configurations lose of their EER against an exact one.
LossesOf = Callable[[Job, Sequence[Job], TrialSet, RunContext], Mapping[str, Loss]]


@dataclass(frozen=True)
class RacePlan:
    """What is looked for.

    `choices` are the engines that are thought of, on one core with the default chunk size, the
    default first; `sizes` are all chunk sizes. `margin` is how much faster another may be than the
    one that is named.
    """

    goal: Goal
    choices: Sequence[Cell]
    sizes: Sequence[int]
    cores: int
    budget_s: float
    margin: float
    limits: Limits
    trials: TrialSet | None = None
    #: How requests arrive at a process, where they do.
    load: Load | None = None


@dataclass
class Heat:
    """One part of the course, and how all stood at its end.

    Who is surely slower by more than `slack` is dropped; by its end, this `share` of the budget may
    be spent.
    """

    title: str
    race: Race
    entered: list[str]
    slack: float
    share: float
    standings: list[Standing] = field(default_factory=list)


@dataclass
class Tuning:
    """A tuning on its way; after an interruption, it says how far it came."""

    wanted: RacePlan
    context: RunContext
    prepare: Prepare
    recordings: Recordings
    losses_of: LossesOf = eer_losses
    heats: list[Heat] = field(default_factory=list)
    #: By what an embedding depends on.
    losses: dict[EmbeddingKey, Loss] = field(default_factory=dict)
    #: What would run untuned, once the last heat is on.
    default: Cell | None = None
    #: Measuring, which the budget is for; starting processes and embedding the trials come to it.
    spent_s: float = 0.0
    loading_s: float = 0.0
    trials_s: float = 0.0

    def run(self) -> None:
        """Race all heats until all that are left are tied, or the time is over."""
        wanted = self.wanted
        cells = [space.alone(wanted.goal, each, cores=wanted.cores) for each in wanted.choices]
        race = self._race(cells)
        race.limits = wanted.limits.of_one_process
        self._heat("engines", race, cells, slack=ENGINES_SLACK, share=ENGINES_SHARE)
        self._leave_behind(
            race, space.MOST_ENGINES, ENGINES_BEHIND, why="left out with the default chunk size"
        )
        others = space.with_sizes(self._cells(race), wanted.sizes)
        self._heat(SIZES, race, others, slack=SIZES_SLACK, share=SIZES_SHARE)
        self._leave_behind(race, space.MOST_FINALISTS, SIZES_BEHIND, why="left out on one core")
        finalists = self._cells(race)
        if not finalists:
            return
        last = [self._as_offered(cell) for cell in self._varied(finalists)]
        # The leader is the reference from here on: the default may be several times slower.
        race = self._race(last, earlier=race)
        race.limits, race.settles = wanted.limits, True
        # As its model wants it; it may be one of the others, and cells are prepared once.
        untuned = space.untuned(wanted.goal, wanted.choices[0], cores=wanted.cores)
        (prepared,) = self.prepare([self._as_offered(untuned)])
        self.default = prepared.cell
        self._heat(LAST, race, [*last, self.default], slack=0.0, share=1.0)
        while not is_decided(race.standings()) and race.sessions < MOST_SESSIONS:
            if not race.running or not self._has_time():
                break
            self._session()

    @property
    def last(self) -> Heat:
        """The heat that is on, or was the last."""
        return self.heats[-1]

    def _varied(self, finalists: Sequence[Cell]) -> list[Cell]:
        """Return the finalists, and how they may share the cores otherwise."""
        wanted = self.wanted
        if wanted.goal == "latency":
            return space.with_threads(finalists, cores=wanted.cores)
        # A capacity is found by replays, in which a process takes a request at a time.
        batches = () if wanted.load else space.BATCHES
        return space.shared(finalists, cores=wanted.cores, batches=batches)

    def _as_offered(self, cell: Cell) -> Cell:
        """Return a cell with the requests that arrive at it, where such do."""
        return space.arriving(cell, self.wanted.load) if self.wanted.load else cell

    def _race(self, cells: Sequence[Cell], earlier: Race | None = None) -> Race:
        """Begin a race in which the first of these cells that can be measured is the reference."""
        wanted, prepared = self.wanted, self.prepare(cells)
        reference = next((each for each in prepared if each.refusal is None), prepared[0])
        kind, context = Race, self.context
        if earlier is not None and wanted.load is not None:
            # At the load that is looked for, processes wait for cores as they would in a server.
            kind, context = ServingRace, replace(context, patience=None)
        return kind(
            reference,
            context,
            num_samples=self.recordings.num_samples,
            margin=wanted.margin,
            earlier=earlier,
        )

    def _heat(
        self, title: str, race: Race, cells: Sequence[Cell], *, slack: float, share: float
    ) -> None:
        """Let cells into a race, and look a few times."""
        known = set(race.jobs)
        race.enter(self.prepare(cells))
        entered = [name for name in race.jobs if name not in known]
        self.heats.append(Heat(title, race, entered, slack, share))
        self.context.progress.note(f"{title}: {len(race.running)} in the race")
        for look in range(LOOKS_A_HEAT if entered else 0):
            # One alone needs no second look.
            if look and (len(race.running) == 1 or not self._has_time()):
                break
            if not race.running:
                break
            self._session()

    def _session(self) -> None:
        """Measure one more session of the heat that is on."""
        race, budget_s = self.last.race, self.wanted.budget_s
        # A heat that begins late has half of what is left.
        left_s = max(self.last.share * budget_s - self.spent_s, (budget_s - self.spent_s) / 2)
        race.session(slack=self.last.slack, left_s=left_s)
        self.spent_s += race.session_s
        self.loading_s += race.loading_s
        self.last.standings = race.standings()
        together = 1 + self.loading_s / max(self.spent_s, 1e-9)
        self.context.progress.left(max(budget_s - self.spent_s, 0.0) * together, 0.0)

    def _has_time(self) -> bool:
        return self.spent_s + self.last.race.session_s <= self.last.share * self.wanted.budget_s

    def _leave_behind(self, race: Race, kept: int, within: float, *, why: str) -> None:
        """Put out what may lose too much of its EER, and all but so many of those that lead.

        Embedding the trials takes long, so only those are asked that will be raced on.
        """
        trials = self.wanted.trials
        exact = next(
            (job for job in race.jobs.values() if job.cell.precision == FLOAT32 and not job.failed),
            None,
        )
        if trials is not None and exact is not None:
            # What is computed as the exact one is loses nothing.
            while asked := {
                computed(job.cell): job
                for job in (race.jobs[each.cell_id] for each in self._first(race, kept, within))
                if computed(job.cell) not in {computed(exact.cell), *self.losses}
            }:
                began_s = self.context.clock()
                self.context.progress.note(f"EER: {len(asked)} configurations embed the trials")
                found = self.losses_of(exact, list(asked.values()), trials, self.context)
                self.trials_s += self.context.clock() - began_s
                for what, job in asked.items():
                    self._judge(race, what, found.get(job.cell_id), trials)
        race.leave_behind([each.cell_id for each in self._first(race, kept, within)], why)

    def _first(self, race: Race, kept: int, within: float) -> list[Standing]:
        """Return what is raced on: so many that lead, and are no further behind than a share.

        The last of them gives way to the one that differs least from the default, where that is
        near the leader: the first heats tell no small differences.
        """
        found = [each for each in race.standings() if not each.ratio > 1 + within]
        first = found[:kept]
        default = space.alone(self.wanted.goal, self.wanted.choices[0], cores=self.wanted.cores)
        nearest = min(
            (each for each in found if each.ratio <= 1 + NEARLY),
            key=lambda each: space.distance(race.jobs[each.cell_id].cell, default),
            default=None,
        )
        return first if nearest is None or nearest in first else [*first[:-1], nearest]

    def _judge(self, race: Race, what: EmbeddingKey, loss: Loss | None, trials: TrialSet) -> None:
        """Keep a loss; where it may be too much, or is not known, what computes so is out."""
        if loss is not None:
            self.losses[what] = loss
        unknown = "its loss of EER could not be measured"
        why = unknown if loss is None else too_much(loss, trials)
        for job in race.running if why else ():
            if computed(job.cell) == what:
                race.put_out(job, why)

    def _cells(self, race: Race) -> list[Cell]:
        """Return the cells of a race that are in it, the leader first."""
        return [race.jobs[each.cell_id].cell for each in race.standings()]
