"""The course of a tuning: heats on one core, then on all of them, until one is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rtfbench.embed.intervals import Loss
from rtfbench.engines.protocol import FLOAT32
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.results.sequential import LOOKS
from rtfbench.tune import space
from rtfbench.tune.accuracy import EmbeddingKey, TrialSet, computed, eer_losses, too_much
from rtfbench.tune.racing import Limits, Race, is_decided
from rtfbench.tune.recordings import Recordings
from rtfbench.tune.serving import ServingRace
from rtfbench.tune.space import Choice, Goal
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

Prepare = Callable[[Sequence[Cell]], list[Prepared]]
#: Tells by their names what configurations lose of their EER against an exact one.
LossesOf = Callable[[Job, Sequence[Job], TrialSet, RunContext], Mapping[str, Loss]]


@dataclass(frozen=True)
class RacePlan:
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
    #: How requests arrive at a process, and under which protocol, where they do.
    load: Load | None = None
    protocol: str = ""


@dataclass
class Heat:
    """One part of the course, and how all stood at its end."""

    title: str
    race: Race
    entered: list[str]
    standings: list[Standing]


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
        cells = [self._alone(choice) for choice in wanted.choices]
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
        (untuned,) = self.prepare([self._as_offered(self._untuned())])
        self.default = untuned.cell
        self._heat(LAST, race, [*last, self.default], slack=0.0, share=1.0)
        while not is_decided(race.standings()) and race.sessions < MOST_SESSIONS:
            if not race.running or not self._has_time(race, 1.0):
                break
            self._session(race, slack=0.0, share=1.0)

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
        wanted = self.wanted
        return space.arriving(cell, wanted.protocol, wanted.load) if wanted.load else cell

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
            self._session(race, slack=slack, share=share)

    def _session(self, race: Race, *, slack: float, share: float) -> None:
        budget_s = self.wanted.budget_s
        # A heat that begins late has half of what is left.
        left_s = max(share * budget_s - self.spent_s, (budget_s - self.spent_s) / 2)
        race.session(slack=slack, left_s=left_s)
        self.spent_s += race.session_s
        self.loading_s += race.loading_s
        self.last.standings = race.standings()
        together = 1 + self.loading_s / max(self.spent_s, 1e-9)
        self.context.progress.left(max(budget_s - self.spent_s, 0.0) * together, 0.0)

    def _has_time(self, race: Race, share: float) -> bool:
        return self.spent_s + race.session_s <= share * self.wanted.budget_s

    def _leave_behind(self, race: Race, kept: int, within: float, *, why: str) -> None:
        """Put out what may lose too much of its EER, and all but so many of those that lead.

        Embedding the trials takes long, so only those are asked that will be raced on.
        """
        trials = self.wanted.trials
        exact = next(
            (job for job in race.jobs if job.cell.precision == FLOAT32 and not job.failed), None
        )
        if trials is not None and exact is not None:
            while asked := self._unchecked(race, kept, within, computed(exact.cell)):
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
        default = self._alone(self.wanted.choices[0])
        nearest = min(
            (each for each in found if each.ratio <= 1 + NEARLY),
            key=lambda each: space.distance(race.job(each.cell_id).cell, default),
            default=None,
        )
        return first if nearest is None or nearest in first else [*first[:-1], nearest]

    def _unchecked(
        self, race: Race, kept: int, within: float, exact: EmbeddingKey
    ) -> dict[EmbeddingKey, Job]:
        """Return one of each that would be raced on and whose loss is not known yet."""
        jobs = [race.job(each.cell_id) for each in self._first(race, kept, within)]
        asked = {computed(job.cell): job for job in jobs}
        return {
            what: job for what, job in asked.items() if what != exact and what not in self.losses
        }

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
        return [race.job(each.cell_id).cell for each in race.standings()]
