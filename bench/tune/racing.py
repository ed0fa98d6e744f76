"""Runs a race: sessions of fresh processes, in which all that are still in it take turns."""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from rtfbench.base.values import Interval
from rtfbench.embed.pipeline import read_front_end
from rtfbench.frontends.chunking import ChunkPolicy
from rtfbench.measure import schedule
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.session import MeasuringSession
from rtfbench.models.workload import Prepared
from rtfbench.results.cells import GHOST
from rtfbench.results.contrasts import contrasts, estimate_ratio
from rtfbench.results.lines import SLOTS
from rtfbench.results.sequential import LOOKS_THAT_COUNT
from rtfbench.results.stats import quantile_lower_bound, tail_quantile
from rtfbench.results.store import CellData
from rtfbench.tune.standings import Rules, Standing, standings

BYTES_PER_MB = 1e6
NS_PER_MS = 1e6
P95 = 0.95
#: How often a race may drop a configuration that keeps its latency, over all looks.
ALPHA = 0.05


@dataclass(frozen=True)
class Limits:
    """What a configuration has to keep; None where it is free.

    `latency_ms` is for 95 of 100 recordings, `rss_mb` for all of a configuration's processes. A
    latency is looked at after every session, so it breaks its limit when it surely does.
    """

    latency_ms: float | None = None
    rss_mb: float | None = None

    def broken(self, job: Job) -> str:
        """Say which limit a job breaks, nothing where it keeps all of them."""
        rss_mb = memory_mb(job)
        if self.latency_ms is not None:
            # What it surely exceeds, after all looks.
            alpha = ALPHA / LOOKS_THAT_COUNT
            least_ns = quantile_lower_bound(_times_ns(job.data), P95, alpha=alpha) or 0.0
            if least_ns > self.latency_ms * NS_PER_MS:
                least_ms = least_ns / NS_PER_MS
                return f"p95 of {least_ms:.0f} ms at least, over {self.latency_ms:g}"
        if self.rss_mb is not None and rss_mb is not None and rss_mb > self.rss_mb:
            return f"{rss_mb:.0f} MB, over {self.rss_mb:g}"
        return ""

    @property
    def of_one_process(self) -> "Limits":
        """What no sharing of the cores makes up for, as more threads do for a latency."""
        return Limits(rss_mb=self.rss_mb)


def p95_ms(data: CellData) -> float | None:
    """Return what 95 of 100 recordings stay under, None where too few ran to say."""
    ns = tail_quantile(_times_ns(data), P95)
    return None if ns is None else ns / NS_PER_MS


def _times_ns(data: CellData) -> list[int]:
    return [ns for record in data.records for ns in record.utterance_ns or (record.processing_ns,)]


def memory_mb(job: Job) -> float | None:
    """Return what a configuration's processes hold after all recordings once, together."""
    size = job.ready.steady_rss_bytes if job.ready else None
    return None if size is None else size / BYTES_PER_MB


def times_real_time(data: CellData) -> float | None:
    """Return the seconds of audio that a second embeds, None where nothing ran."""
    taken_ns = sum(record.processing_ns for record in data.records)
    return sum(record.audio_ns for record in data.records) / taken_ns if taken_ns else None


class Figures(NamedTuple):
    """What is told of a configuration in the race; None where it was not measured.

    `held` is how many requests a second it holds within the latency, with its interval.
    """

    sessions: int
    memory_mb: float | None
    times_real_time: float | None = None
    p95_ms: float | None = None
    held: float | None = None
    held_interval: Interval | None = None


#: A block is let begin that takes so much of the time that is left, as far as chunks promise.
HEADROOM = 0.8
NO_TIME = "not measured: the budget has no time for it; a larger --budget has"

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
        """Begin a race with nothing in it.

        All are held against the reference, whether it takes part or not. What is surely less than
        `margin` faster than the leader is tied with it. Records of the race before, `earlier`, are
        in the same folder.
        """
        self._context, self._num_samples, self._margin = context, num_samples, margin
        self.jobs: dict[str, Job] = {}
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
        #: Seconds of measuring in the last session, and those of starting its processes.
        self.session_s = self.loading_s = 0.0
        #: How many times as long as their chunks promise blocks took at most.
        self._stretch: float = earlier._stretch if earlier else 1.0
        self._first: int = earlier.next_session if earlier else 0
        self.next_session: int = self._first
        self.declared: set[str] = earlier.declared if earlier else set()
        self._refer_to(Job.of(reference))
        self._declare(self.reference)

    @property
    def running(self) -> list[Job]:
        """Those that are in the race."""
        return [job for name, job in self.jobs.items() if name not in self.out]

    @property
    def _others(self) -> list[Job]:
        """Those that take turns with the reference."""
        return [job for job in self._racing if job is not self.reference]

    @property
    def _racing(self) -> list[Job]:
        """Those of them that are not decided yet, and the leader."""
        return [job for job in self.running if job.cell_id not in self.settled]

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
            if job.cell_id in self.jobs:
                continue
            self.jobs[job.cell_id] = job
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

    def session(self, *, slack: float, left_s: float = math.inf) -> None:
        """Measure one more session, and drop what is then surely slower by more than `slack`.

        It may take `left_s`: the slowest have no turn where there is no time for all, and a block
        is measured in any case.
        """
        context = self._context
        began_s = context.clock()
        measured = [self.reference, self._ghost, *self._others]
        with ExitStack() as stack:
            session = MeasuringSession(self.next_session, context, stack)
            session.start([job for job in measured if not job.failed])
            self.loading_s = context.clock() - began_s
            self._leave_out(session, left_s)
            others, portions, expected_s = self._others, self._portions(), self._block_s()
            if context.patience is not None:
                context.patience.left_s = max(left_s - self._stretch * expected_s, 0.0)
            self.session_s, blocks, done = 0.0, 1, 0
            while done < blocks:
                context.progress.step(
                    f"session {self.sessions + 1}, block {done + 1} of {blocks}: "
                    f"{len(others) + 1} in the race"
                )
                block_s = context.clock()
                session.block(done, portions[(self.next_session + done) % len(portions)])
                done += 1
                took_s = max(context.clock() - block_s, 1e-6)
                self.session_s += took_s
                if expected_s:  # else no process came to be ready
                    self._stretch = max(self._stretch, took_s / expected_s)
                if len(others) <= MANY:
                    beside = schedule.blocks_beside(self.loading_s, cycle_s=took_s)
                    more = max(left_s - self.session_s, 0.0) / took_s
                    blocks = int(min(beside, MOST_BLOCKS, done + more))
            session.finish()
        self.next_session += 1
        self._drop(slack)
        self.loading_s = context.clock() - began_s - self.session_s

    def _leave_out(self, session: MeasuringSession, left_s: float) -> None:
        """Leave out the slowest of those that never ran, until a block fits the time."""
        while self._stretch * self._block_s() > HEADROOM * left_s:
            fresh = [job for job in self._others if job.ready and job.cell_id not in self.last]
            if not fresh or len(self._others) == 1 == len(self.jobs) - len(self.out):
                return
            portion = tuple(self._num_samples)
            slowest = max(fresh, key=lambda job: self._turn_s(job, portion))
            self.out[slowest.cell_id] = NO_TIME
            session.leave_out(slowest)

    def _block_s(self) -> float:
        """Return how long a block takes about: a turn and another of each."""
        measured = [job for job in (self.reference, self.reference, *self._others) if job.ready]
        portions = self._portions()
        turns_s = [self._turn_s(job, portion) for job in measured for portion in portions]
        return SLOTS * sum(turns_s) / len(portions)

    def _turn_s(self, job: Job, portion: Sequence[str]) -> float:
        assert job.ready is not None
        policy = self._policy(job.cell.chunk_samples)
        chunks = sum(policy.num_chunks(self._num_samples[name]) for name in portion)
        return (1 + chunks / job.cell.jobs) * job.ready.chunk_ns / 1e9

    def _policy(self, chunk_samples: int) -> ChunkPolicy:
        artifact = self.reference.prepared.artifact
        assert artifact is not None
        return ChunkPolicy(chunk_samples, read_front_end(artifact.front_end, artifact.feat_dim))

    def _portions(self) -> list[tuple[str, ...]]:
        """Return what a block runs.

        Chunk sizes compare on all recordings only: which one wastes least depends on the length.
        Where many take turns, a slot is long enough for the reference, else for the fastest.
        """
        cell = self.reference.cell
        policy = self._policy(cell.chunk_samples)
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
        """Put out what failed, breaks a limit, or is surely slower."""
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
                self.out[each.cell_id] = f"slower: {self.behind(each.ratio)}"
                self._slower.add(each.cell_id)
            if each.fate == "tied" and self.settles:
                self.settled[each.cell_id] = each

    def standings(self, *, slack: float = 0.0) -> list[Standing]:
        """Return how those stand that are in the race, the leader first."""
        jobs = self._racing
        if self.reference.failed or self._ghost.failed or not jobs:
            return []
        rules = Rules(slack, self._margin, rivals=max(len(self.jobs) - 1, 1))
        settled = [each for name, each in self.settled.items() if name not in self.out]
        return self._ranked(jobs, rules) + settled

    def _ranked(self, jobs: list[Job], rules: Rules) -> list[Standing]:
        """Return how those stand that are not decided yet, the leader first."""
        data = [job.data for job in jobs]
        return standings(data, self.reference.data, self._ghost.data, rules)

    def behind(self, ratio: float) -> str:
        """Say how far a configuration is behind the leader."""
        return f"{ratio:.2f} times as long as the leader"

    def figures(self, job: Job) -> Figures:
        """Return what is told of a configuration."""
        sessions = len({record.session for record in job.data.records})
        if job.failed:  # times of a wrong output are none
            return Figures(sessions, None)
        return Figures(sessions, memory_mb(job), times_real_time(job.data), p95_ms(job.data))

    def gain(self, named: Job, other: Job) -> tuple[float, Interval] | None:
        """Return how many times as fast one is as another, None where that is not known."""
        misled = contrasts(self._ghost.data, self.reference.data)
        found = estimate_ratio(other.data, named.data, alpha=ALPHA, misled=misled)
        if found is None or found.interval is None:
            return None
        return found.ratio, found.interval

    def leave_behind(self, kept: Collection[str], why: str) -> None:
        """Put out all but some."""
        for each in self.standings():
            if each.cell_id not in kept:
                self.out[each.cell_id] = f"{why}: {self.behind(each.ratio)}"

    def end(self) -> None:
        """Write how every configuration ended."""
        others = [job for job in self.jobs.values() if job is not self.reference]
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
