"""Runs a race: sessions of fresh processes, in which all that are still in it take turns."""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack

from bench.measure import schedule
from bench.measure.context import RunContext
from bench.measure.job import Job
from bench.measure.session import MeasuringSession
from bench.models.workload import Prepared
from bench.results.cells import GHOST
from bench.tune.limits import Limits
from bench.tune.standings import Rules, Standing, standings
from frontends.chunking import ChunkPolicy

#: A session has so many blocks at most, and one where many take turns.
MOST_BLOCKS, MANY = 3, 6


class Race:
    """Configurations on their way; a reference and its ghost are in every session."""

    def __init__(
        self,
        reference: Prepared,
        context: RunContext,
        *,
        num_samples: Mapping[str, int],
        margin: float,
        earlier: "Race | None" = None,
    ) -> None:
        """Begin a race with nobody in it.

        Args:
            reference: what all are held against, whether it takes part or not.
            context: of the run.
            num_samples: of each recording, at 16 kHz.
            margin: who is surely less than this faster than the leader is tied with it.
            earlier: the race before, whose records are in the same folder.
        """
        self._context, self._num_samples, self._margin = context, num_samples, margin
        self.jobs: list[Job] = []
        #: Job -> why it is out.
        self.out: dict[str, str] = {}
        #: Those of them that are out because another is faster.
        self._slower: set[str] = set()
        #: What is known of each that ever stood, from its last session on.
        self.last: dict[str, Standing] = {}
        #: Those that are tied with the leader for good, and measured no more.
        self.settled: dict[str, Standing] = {}
        self.limits = Limits()
        #: Whether a tie is the end of it, or later heats may still vary what is tied.
        self.settles = False
        self.session_s = 0.0
        self._first: int = earlier.next_session if earlier else 0
        self.next_session: int = self._first
        self.declared: set[str] = earlier.declared if earlier else set()
        self._refer_to(Job.of(reference))
        self._declare(self.reference)

    @property
    def running(self) -> list[Job]:
        """Those that are in the race."""
        return [job for job in self.jobs if job.cell_id not in self.out]

    @property
    def _racing(self) -> list[Job]:
        """Those of them that are not decided yet, and the leader."""
        return [job for job in self.running if job.cell_id not in self.settled]

    def job(self, cell_id: str) -> Job:
        """Return the job of this name."""
        return next(job for job in self.jobs if job.cell_id == cell_id)

    @property
    def sessions(self) -> int:
        """How many there were."""
        return self.next_session - self._first

    def _refer_to(self, job: Job) -> None:
        """Hold all against a job from here on."""
        self.reference, self._ghost = job, job.replica(GHOST)
        self._declare(self._ghost)

    def _declare(self, job: Job) -> None:
        """Write once what a job is: declared again, it would count from there."""
        if job.cell_id not in self.declared:
            self.declared.add(job.cell_id)
            self._context.folder.append(job.data.declaration)

    def enter(self, prepared: Sequence[Prepared]) -> None:
        """Let further configurations in; one that cannot be measured is out with its reason."""
        for new in prepared:
            job = Job.of(new)
            if job.cell_id == self.reference.cell_id:
                job = self.reference
            if any(job.cell_id == known.cell_id for known in self.jobs):
                continue
            self.jobs.append(job)
            self._declare(job)
            refusal = job.prepared.refusal
            if refusal is not None:
                job.end(self._context.folder, refusal.status, refusal.reason)
                self.out[job.cell_id] = _failure(job)

    def put_out(self, job: Job, why: str) -> None:
        """Put a configuration out that may not be the answer, however fast it is.

        Who was only slower than another, or tied with it, is in the race again: it may have been
        this one.
        """
        self.out[job.cell_id] = why
        for name in self._slower:
            del self.out[name]
        self._slower.clear()
        self.settled.clear()

    def session(self, *, slack: float) -> None:
        """Measure one more session, and drop who is out after it."""
        context = self._context
        began_s = context.clock()
        others = [job for job in self._racing if job is not self.reference]
        measured = [self.reference, self._ghost, *others]
        with ExitStack() as stack:
            session = MeasuringSession(self.next_session, context, stack)
            session.start([job for job in measured if not job.failed])
            loaded_s = context.clock() - began_s
            portions = self._portions()
            blocks, done = 1, 0
            while done < blocks:
                block_s = context.clock()
                session.block(done, portions[(self.next_session + done) % len(portions)])
                done += 1
                took_s = max(context.clock() - block_s, 1e-6)
                if len(others) <= MANY:
                    blocks = min(schedule.blocks_beside(loaded_s, cycle_s=took_s), MOST_BLOCKS)
                context.progress.step(
                    f"session {self.sessions + 1}, block {done} of {blocks}, "
                    f"{len(others) + 1} in the race"
                )
            session.finish()
        self.next_session += 1
        self._drop(slack)
        self.session_s = context.clock() - began_s

    def _portions(self) -> list[tuple[str, ...]]:
        """Return what a block runs.

        Chunk sizes compare on all recordings only: which one wastes least depends on the length.
        Where many take turns, a slot is long enough for the reference, else for the fastest.
        """
        cell, policy = self.reference.cell, ChunkPolicy(self.reference.cell.chunk_samples)
        chunks = {name: policy.num_chunks(count) for name, count in self._num_samples.items()}
        measured = [self.reference, *self._racing]
        one_size = len({job.cell.chunk_samples for job in measured}) == 1
        jobs = max(job.cell.jobs for job in measured)
        batch = max(job.cell.batch for job in measured)
        paced = measured[:1] if len(measured) > MANY else measured
        # Chunks differ in size, and are counted in those of the reference.
        chunk_s = min(
            (
                job.ready.chunk_ns / 1e9 * cell.chunk_samples / job.cell.chunk_samples
                for job in paced
                if job.ready is not None
            ),
            default=schedule.SLOT_S,
        )
        least = schedule.short_slot_chunks(chunk_s)
        if jobs > 1 or batch > 1:
            least = jobs * max(least, schedule.QUEUED_CHUNKS, batch)
        parts = schedule.portions(chunks, wanted=least if one_size else math.inf)
        return [part * -(-round(least) // sum(map(chunks.__getitem__, part))) for part in parts]

    def _drop(self, slack: float) -> None:
        """Put out who failed, breaks a limit, or is surely slower."""
        for job in self.running:
            if job.failed:
                self.put_out(job, _failure(job))
            elif why := self.limits.broken(job):
                self.put_out(job, why)
        if (self.reference.failed or self._ghost.failed) and self.running:
            self._refer_to(self.running[0])
        for each in self.standings(slack=slack):
            self.last[each.cell_id] = each
            if each.fate == "slower":
                self.out[each.cell_id] = f"slower: {each.ratio:.2f} times as long as the leader"
                self._slower.add(each.cell_id)
            if each.fate == "tied" and self.settles:
                self.settled[each.cell_id] = each

    def standings(self, *, slack: float = 0.0) -> list[Standing]:
        """Return how those stand that are in the race, the leader first."""
        if self.reference.failed or self._ghost.failed:
            return []
        rules = Rules(slack, self._margin, rivals=max(len(self.jobs) - 1, 1))
        data = [job.data for job in self._racing]
        found = standings(data, self.reference.data, self._ghost.data, rules)
        return found + [each for name, each in self.settled.items() if name not in self.out]

    def leave_behind(self, kept: Collection[str], why: str) -> None:
        """Put out all but some."""
        for each in self.standings():
            if each.cell_id not in kept:
                self.out[each.cell_id] = f"{why}: {each.ratio:.2f} times as long as the leader"

    def end(self) -> None:
        """Write how every configuration ended."""
        others = [job for job in self.jobs if job is not self.reference]
        for job in (self.reference, self._ghost, *others):
            if not job.failed:
                job.end(self._context.folder, "ok")


def is_decided(found: Sequence[Standing]) -> bool:
    """Say whether all that are left are tied with the leader."""
    return bool(found) and all(each.fate != "open" for each in found)


def _failure(job: Job) -> str:
    outcome = job.data.outcome
    assert outcome is not None
    return f"{outcome.status.replace('_', ' ')}: {outcome.reason}"
