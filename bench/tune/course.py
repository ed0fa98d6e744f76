"""The course of a tuning: heats on one core, then on all of them, until one is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.embed.losses import Loss
from bench.measure.context import RunContext
from bench.measure.job import Job
from bench.models.workload import Prepared
from bench.results.cells import Cell
from bench.results.sequential import LOOKS
from bench.tune import space
from bench.tune.accuracy import Computed, TrialSet, computed, eer_losses, too_much
from bench.tune.limits import Limits
from bench.tune.racing import Race, is_decided
from bench.tune.recordings import Recordings
from bench.tune.space import Choice, Goal
from bench.tune.standings import Standing
from engines.protocol import FLOAT32

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
LAST = "all cores"
#: With more sessions than a look has, a race is not decided by more of the same.
MOST_SESSIONS = LOOKS[-1]

Prepare = Callable[[Sequence[Cell]], list[Prepared]]
#: Tells by their names what configurations lose of their EER against an exact one.
LossesOf = Callable[[Job, Sequence[Job], TrialSet, RunContext], Mapping[str, Loss]]


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    `choices` are the engines that are thought of, the first the default; `sizes` the chunk sizes,
    the first the default. `margin` is how much faster another may be than the one that is named.
    """

    goal: Goal
    model: str
    choices: Sequence[Choice]
    sizes: Sequence[int]
    cores: int
    budget_s: float
    margin: float
    limits: Limits
    trials: TrialSet | None = None


@dataclass
class Heat:
    """One part of the course, and how all stood at its end."""

    title: str
    race: Race
    entered: list[str]
    standings: list[Standing]


@dataclass
class Course:
    """A tuning on its way; after an interruption, it says how far it came."""

    wanted: Wanted
    context: RunContext
    prepare: Prepare
    recordings: Recordings
    losses_of: LossesOf = eer_losses
    heats: list[Heat] = field(default_factory=list)
    #: By what an embedding depends on.
    losses: dict[Computed, Loss] = field(default_factory=dict)
    #: What would run untuned, once the last heat is on.
    default: Cell | None = None
    #: Measuring, which the budget is for; embedding what the trials ask for comes to it.
    spent_s: float = 0.0
    trials_s: float = 0.0

    def run(self) -> None:
        """Race all heats until all that are left are tied, or the time is over."""
        wanted = self.wanted
        cells = [self._alone(choice) for choice in wanted.choices]
        race = self._race(cells)
        race.limits = wanted.limits.of_one_process
        self._heat("engines", race, cells, slack=ENGINES_SLACK, share=ENGINES_SHARE)
        self._leave_behind(
            race, space.MOST_ENGINES, ENGINES_BEHIND, why="behind with the default chunk size"
        )
        others = space.with_sizes(self._cells(race), wanted.sizes)
        self._heat("chunk sizes", race, others, slack=SIZES_SLACK, share=SIZES_SHARE)
        self._leave_behind(race, space.MOST_FINALISTS, SIZES_BEHIND, why="behind on one core")
        finalists = self._cells(race)
        if not finalists:
            return
        vary = space.with_threads if wanted.goal == "latency" else space.shared
        last = vary(finalists, cores=wanted.cores)
        # The leader is the reference from here on: the default may be several times slower.
        race = self._race(last, earlier=race)
        race.limits, race.settles = wanted.limits, True
        # As its model wants it; it may be one of the others, and cells are prepared once.
        (untuned,) = self.prepare([self._untuned()])
        self.default = untuned.cell
        self._heat(LAST, race, [*last, self.default], slack=0.0, share=1.0)
        while not is_decided(race.standings()) and race.sessions < MOST_SESSIONS:
            if not race.running or not self._has_time(race, 1.0):
                break
            self._session(race, slack=0.0)

    @property
    def last(self) -> Heat:
        """The heat that is on, or was the last."""
        return self.heats[-1]

    def _alone(self, choice: Choice) -> Cell:
        wanted = self.wanted
        return space.alone(
            wanted.goal,
            choice,
            model=wanted.model,
            cores=wanted.cores,
            chunk_samples=wanted.sizes[0],
        )

    def _untuned(self) -> Cell:
        wanted = self.wanted
        return space.untuned(
            wanted.goal,
            wanted.choices[0],
            model=wanted.model,
            cores=wanted.cores,
            chunk_samples=wanted.sizes[0],
        )

    def _race(self, cells: Sequence[Cell], earlier: Race | None = None) -> Race:
        """Begin a race in which the first of these cells that can be measured is the reference."""
        prepared = self.prepare(cells)
        return Race(
            next((each for each in prepared if each.refusal is None), prepared[0]),
            self.context,
            num_samples=self.recordings.num_samples,
            margin=self.wanted.margin,
            earlier=earlier,
        )

    def _heat(
        self, title: str, race: Race, cells: Sequence[Cell], *, slack: float, share: float
    ) -> None:
        """Let cells into a race, and look a few times."""
        known = {job.cell_id for job in race.jobs}
        race.enter(self.prepare(cells))
        entered = [job.cell_id for job in race.jobs if job.cell_id not in known]
        self.heats.append(Heat(title, race, entered, []))
        self.context.progress.note(f"{title}: {len(race.running)} in the race")
        for look in range(LOOKS_A_HEAT if entered else 0):
            # One alone needs no second look.
            if look and (len(race.running) == 1 or not self._has_time(race, share)):
                break
            if not race.running:
                break
            self._session(race, slack=slack)

    def _session(self, race: Race, *, slack: float) -> None:
        began_s = self.context.clock()
        race.session(slack=slack)
        self.spent_s += self.context.clock() - began_s
        self.last.standings = race.standings()
        self.context.progress.advance(min(self.spent_s / self.wanted.budget_s, 1.0))

    def _has_time(self, race: Race, share: float) -> bool:
        return self.spent_s + race.session_s <= share * self.wanted.budget_s

    def _leave_behind(self, race: Race, kept: int, within: float, *, why: str) -> None:
        """Put out who surely loses too much of its EER, and all but so many of those that lead.

        Embedding the trials takes long, so only those are asked that will be raced on.
        """
        trials = self.wanted.trials
        exact = next((job for job in race.jobs if _may_be_exact(job)), None)
        if trials is not None and exact is not None:
            while asked := self._unchecked(race, kept, within, computed(exact.cell)):
                began_s = self.context.clock()
                self.context.progress.note(f"EER: {len(asked)} configurations embed the trials")
                found = self.losses_of(exact, list(asked.values()), trials, self.context)
                self.trials_s += self.context.clock() - began_s
                for what, job in asked.items():
                    self._judge(race, what, found.get(job.cell_id), trials.most_loss)
        race.leave_behind([each.cell_id for each in self._first(race, kept, within)], why)

    def _first(self, race: Race, kept: int, within: float) -> list[Standing]:
        """Return who is raced on: so many that lead, and are no further behind than a share.

        The last of them gives way to the one that differs least from the default, where that is
        near the leader: the first heats tell no small differences.
        """
        found = [each for each in race.standings() if not each.ratio > 1 + within]
        first = found[:kept]
        default = self._alone(self.wanted.choices[0])
        nearest = min(
            (each for each in found if each.ratio <= 1 + NEARLY),
            key=lambda each: space.distance(race.job(each.cell_id).cell, default),
            default=None,
        )
        return first if nearest is None or nearest in first else [*first[:-1], nearest]

    def _unchecked(
        self, race: Race, kept: int, within: float, exact: Computed
    ) -> dict[Computed, Job]:
        """Return one of each that would be raced on and whose loss is not known yet."""
        jobs = [race.job(each.cell_id) for each in self._first(race, kept, within)]
        asked = {computed(job.cell): job for job in jobs}
        return {
            what: job for what, job in asked.items() if what != exact and what not in self.losses
        }

    def _judge(self, race: Race, what: Computed, loss: Loss | None, most_loss: float) -> None:
        """Keep a loss; where it is too much, or not known, who computes so is out."""
        if loss is not None:
            self.losses[what] = loss
        unknown = "its loss of EER could not be measured"
        why = unknown if loss is None else too_much(loss, most_loss)
        for job in race.running if why else ():
            if computed(job.cell) == what:
                race.put_out(job, why)

    def _cells(self, race: Race) -> list[Cell]:
        """Return the cells of a race that are in it, the leader first."""
        return [race.job(each.cell_id).cell for each in race.standings()]


def _may_be_exact(job: Job) -> bool:
    return job.cell.precision == FLOAT32 and not job.failed
