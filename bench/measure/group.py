"""One comparison: the cells of a group take turns, session after session, until it is decided."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from rtfbench.base.interruption import finishing
from rtfbench.base.pace import PieceTimes
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.measure import procedures, schedule
from rtfbench.measure.context import RunContext
from rtfbench.measure.job import Job
from rtfbench.measure.messages import Ready
from rtfbench.measure.session import MeasuringSession
from rtfbench.results import protocols
from rtfbench.results.cells import GHOST, INTERRUPTED
from rtfbench.results.contrasts import run_ratios
from rtfbench.results.lines import SLOTS, Course
from rtfbench.results.protocols import Protocol
from rtfbench.results.stats import relative_half_width


class Group:
    """The cells that take turns, and how far their measuring is; it declares them."""

    def __init__(self, jobs: Sequence[Job], context: RunContext, *, ghost: bool = True) -> None:
        self.jobs = list(jobs)
        self._context = context
        self._wants_ghost = ghost
        self._course: schedule.Schedule | None = None
        self._portions: list[tuple[str, ...]] = []
        self._chunks: Mapping[str, int] = {}
        #: How long a block takes, and how much measuring there may be up to the first look.
        self.block_s = self._longest_s = 0.0
        #: How many sessions were measured.
        self.sessions = 0
        #: Whether the cells embed the recordings of trials.
        self.scores = bool(context.scored)
        #: Whether a session is on, and the seconds that its blocks took so far.
        self.is_on, self.session_spent_s = False, 0.0
        #: Those of the sessions before.
        self._ended_s = 0.0
        #: How long a process takes to start and to end, a first session's to prove what it does
        #: besides, and a cell to embed the trials.
        self.starts, self.proofs, self.scoring = PieceTimes(), PieceTimes(), PieceTimes()
        #: How many times as long as was expected from the first chunks blocks take.
        self.stretch, self._expected_s = PieceTimes(), 0.0
        #: Is called whenever more is known of how long it takes.
        self.learned: Callable[[], None] = lambda: None
        for job in self.jobs:
            job.declare(context.folder)

    @property
    def running(self) -> list[Job]:
        """The jobs that did not fail; none where only the ghost is left."""
        alive = [job for job in self.jobs if not job.failed]
        return alive if any(job.cell.replica != GHOST for job in alive) else []

    @property
    def decided(self) -> bool:
        """Whether every ratio is as narrow as was asked for, or there is none."""
        return all(ratio.decided for ratio in run_ratios([[job.data for job in self.running]]))

    @property
    def width(self) -> float:
        """Half the width of its widest interval, relative; 0 where nothing is compared."""
        ratios = run_ratios([[job.data for job in self.running]])
        return max((relative_half_width(ratio.ci95) for ratio in ratios), default=0.0)

    @property
    def session_s(self) -> float:
        """Seconds of measuring that one more session takes about; 0 where none is possible."""
        return self._course.blocks * self.block_s if self._course and self.running else 0.0

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of sessions after which it is judged, none before they are declared."""
        return self._course.looks if self._course else ()

    @property
    def spent_s(self) -> float:
        """Seconds of measuring so far, loading apart."""
        return self._ended_s + self.session_spent_s

    def to_first_look_s(self, stretch: float = 1.0) -> float:
        """Return what measuring takes up to the first look, of which the present session is a part.

        Blocks take `stretch` times as long as is known.
        """
        assert self._course is not None
        sessions = max(self._course.looks[0] - self.sessions, 0)
        block_s = stretch * self.block_s
        # Sessions lose blocks where these take longer than they seemed to.
        left_s = min(sessions * self._course.blocks * block_s, self._longest_s - self._ended_s)
        return max(left_s, sessions * self.cycle * block_s)

    @property
    def _protocol(self) -> Protocol:
        return protocols.named(self.jobs[0].cell.protocol)

    @property
    def cycle(self) -> int:
        """How many blocks make one contrast."""
        return self._cycle_of(self._portions)

    def _cycle_of(self, portions: Sequence[tuple[str, ...]]) -> int:
        return len(portions) if self._protocol.contrast_takes_all else 1

    def guessed_block(self, known: "Group") -> tuple[float, int]:
        """Guess how long a block takes and how many make one contrast, before anything started.

        A chunk takes as long as in the comparison that is known, which has begun, in proportion to
        its length and to what the model computes.
        """
        there = {job.cell.engine_label: job for job in known.running if job.ready is not None}
        if not there:
            return max(known.block_s, 1e-9), 1
        cell, known_cell = self.jobs[0].cell, known.jobs[0].cell
        either_whole = WHOLE_UTTERANCE in (cell.chunk_samples, known_cell.chunk_samples)
        longer = 1.0 if either_whole else cell.chunk_samples / known_cell.chunk_samples
        chunks = {name: math.ceil(count / longer) for name, count in known._chunks.items()}
        ready = []
        for job in self.running:
            other = there.get(job.cell.engine_label) or next(iter(there.values()))
            assert other.ready is not None
            flops = (job.data.declaration.flops, other.data.declaration.flops)
            more = longer * (flops[0] / flops[1] if flops[0] and flops[1] else 1.0)
            update = {"chunk_ns": round(other.ready.chunk_ns * more)}
            ready.append(other.ready.model_copy(update=update))
        portions = self._cut(chunks, ready, schedule.slot_chunks)
        block_s = SLOTS * sum(self._slot_s(each, chunks, portions) for each in ready)
        ghosts = len(self.running) + self._wants_ghost
        return block_s * ghosts / max(len(self.running), 1), self._cycle_of(portions)

    def measure_first(self, *, share_s: float, longest_s: float, sessions: int) -> float:
        """Measure up to the first look.

        Args:
            share_s: seconds that this group may measure now.
            longest_s: seconds that it may get in all, if others leave theirs.
            sessions: how many are wanted before the first look.

        Returns:
            The seconds that measuring took; loading is not in it.
        """
        took_s, self._longest_s = 0.0, longest_s
        with ExitStack() as stack:
            session = self._start(stack)
            if self.running:
                self._course = self._declare(session, share_s, longest_s, sessions)
                took_s += self._measure(session, self._course.blocks)
        while self.running and self._course and self.sessions < self._course.looks[0]:
            # Chunks may take longer than they seemed to: sessions stay, and lose blocks.
            affordable = schedule.blocks_for(
                budget_s=longest_s - took_s,
                block_s=self.block_s,
                sessions=self._course.looks[0] - self.sessions,
                cycle=self.cycle,
            )
            took_s += self._one_more(max(min(self._course.blocks, affordable), self.cycle))
        self._end_ok()
        return took_s

    def measure_on(self, share_s: float) -> float:
        """Measure up to the next look, if there is one and its sessions fit the time.

        Returns:
            The seconds that measuring took, 0 when there is nothing to do.
        """
        assert self._course is not None
        look = next((look for look in self._course.looks if look > self.sessions), None)
        if look is None:
            return 0.0
        sessions = look - self.sessions
        # Sessions tell more than blocks, so the looks behind this one keep theirs if time allows.
        kept_s = share_s * sessions / (self._course.looks[-1] - self.sessions)
        took_s = self.measure_more(kept_s, sessions=sessions)
        return took_s or self.measure_more(share_s, sessions=sessions)

    def measure_more(self, share_s: float, *, sessions: int) -> float:
        """Measure so many further sessions, whatever was declared; 0 where they do not fit."""
        if not self.running:
            return 0.0
        blocks = schedule.blocks_for(
            budget_s=share_s, block_s=self.block_s, sessions=sessions, cycle=self.cycle
        )
        took_s = 0.0
        for _ in range(sessions if blocks else 0):
            if self.running:
                took_s += self._one_more(blocks)
        if took_s:
            self._end_ok()
        return took_s

    def measure_one(self) -> float:
        """Measure one more session as it was declared, and return the seconds that it took."""
        assert self._course is not None
        took_s = self._one_more(self._course.blocks)
        self._end_ok()
        return took_s

    def measure_session(self) -> float:
        """Measure one session with short slots, as long as it takes to start.

        Returns:
            The seconds that it took, starting included.
        """
        clock = self._context.clock
        began_s = clock()
        with ExitStack() as stack:
            session = self._start(stack)
            if self.running:
                if not self._portions:
                    self._cut_slots(session, schedule.short_slot_chunks)
                cycle_s = self.block_s * self.cycle
                cycles = schedule.blocks_beside(clock() - began_s, cycle_s=cycle_s)
                self._measure(session, cycles * self.cycle)
        self._end_ok()
        return clock() - began_s

    def interrupt(self) -> None:
        """End what was cut short; what has come to a look stays."""
        for job in self.running:
            if job.data.outcome is None:
                job.end(self._context.folder, "failed", INTERRUPTED)

    def _declare(
        self, session: MeasuringSession, share_s: float, longest_s: float, sessions: int
    ) -> schedule.Schedule:
        """Split the utterances into slots, and declare sessions, blocks and looks."""
        self._cut_slots(session, schedule.slot_chunks)
        course = schedule.plan_course(
            budget_s=share_s,
            block_s=self.block_s,
            sessions=sessions,
            cycle=self.cycle,
            longest_s=longest_s,
        )
        self._say_coverage(course)
        line = Course(
            cell_id=self.running[0].cell_id,
            looks=course.looks,
            alpha=course.alpha,
            precision=self._context.half_width,
            blocks=course.blocks,
            portions=len(self._portions),
        )
        for job in self.running:
            job.data.course = line
        self._context.folder.append(line)
        return course

    def _say_coverage(self, course: schedule.Schedule) -> None:
        """Say before measuring that the time will not reach all utterances, if it will not."""
        planned, needed = course.blocks * course.looks[0], len(self._portions)
        if planned < needed:
            cell = self.jobs[0].cell
            reached, in_all = (
                len({name for portion in some for name in portion})
                for some in (self._portions[:planned], self._portions)
            )
            self._context.progress.note(
                f"{cell.model}, {cell.protocol}, {cell.chunk_samples} samples: the budget reaches "
                f"{reached} of {in_all} utterances; about "
                f"{needed / planned:.1f} times as much reaches all"
            )

    def _cut_slots(self, session: MeasuringSession, chunks_of: Callable[[float], float]) -> None:
        """Split the utterances into slots by how long a chunk takes in the slowest cell."""
        known = [job.ready for job in self.running if job.ready is not None]
        self._chunks = session.chunks
        self._portions = self._cut(session.chunks, known, chunks_of)
        self.block_s = SLOTS * sum(
            self._slot_s(ready, session.chunks, self._portions) for ready in known
        )
        self._expected_s = self.block_s

    def _cut(
        self, chunks: Mapping[str, int], known: Sequence[Ready], chunks_of: Callable[[float], float]
    ) -> list[tuple[str, ...]]:
        """Return the utterances of each slot."""
        slowest_s = max(ready.chunk_ns for ready in known) / 1e9
        cell = self.jobs[0].cell
        return procedures.of(cell.protocol).slots(chunks, cell, wanted=chunks_of(slowest_s))

    def _slot_s(
        self, ready: Ready, chunks: Mapping[str, int], portions: Sequence[tuple[str, ...]]
    ) -> float:
        """Return how long a slot takes about."""
        cell = self.jobs[0].cell
        queued = sum(chunks[name] for portion in portions for name in portion)
        slot_chunks = queued / len(portions) / cell.jobs + 1
        took_s = procedures.of(cell.protocol).turn_s(
            cell, len(portions[0]), slot_chunks * ready.chunk_ns / 1e9
        )
        if not self._protocol.fresh_session:
            return took_s
        extra_ns = ready.load_ns + max(ready.first_chunk_ns - ready.chunk_ns, 0)
        return took_s + len(chunks) / len(portions) * extra_ns / 1e9

    def _one_more(self, blocks: int) -> float:
        """Measure a session of so many blocks."""
        with ExitStack() as stack:
            return self._measure(self._start(stack), blocks)

    def _start(self, stack: ExitStack) -> MeasuringSession:
        """Start the processes of a session, and learn how long that takes."""
        if self._wants_ghost and not self.sessions:
            # The reference a second time, before anything starts: it must not come last.
            self.jobs.append(self.running[0].replica(GHOST))
            self.jobs[-1].declare(self._context.folder)
        session = MeasuringSession(self.sessions, self._context, stack)
        clock, jobs = self._context.clock, self.running
        began_s = clock()
        session.start(jobs)
        took_s = clock() - began_s - session.scored_s - session.waited_s - session.proved_s
        if jobs:
            self.starts.add(took_s, len(jobs))
        if session.proved_s:
            self.proofs.add(session.proved_s, len(jobs))
        if session.scored:
            self.scoring.add(session.scored_s, session.scored)
        return session

    def _measure(self, session: MeasuringSession, blocks: int) -> float:
        """Return the seconds that the blocks of a session took, but for waiting in vain."""
        cell, clock = self.jobs[0].cell, self._context.clock
        began_s, waited_s = clock(), session.waited_s
        self.is_on = True
        self.learned()
        for block in range(blocks):
            if not self.running:
                break
            self._context.progress.step(
                f"session {self.sessions + 1}, block {block + 1} of {blocks}: "
                f"{cell.model}, {cell.threads} thread{'s' * (cell.threads > 1)}, "
                f"{cell.chunk_samples} samples, "
                f"{cell.protocol}"
            )
            # Sessions begin with different portions, so that few blocks see every utterance.
            turn = self.sessions * blocks + block
            with finishing(self._context.progress.note):
                session.block(block, self._portions[turn % len(self._portions)])
            spent_s = clock() - began_s - (session.waited_s - waited_s)
            self.stretch.add(spent_s - self.session_spent_s, self._expected_s)
            self.session_spent_s = spent_s
            self.block_s = self.session_spent_s / (block + 1)
            self.learned()
        took_s = self.session_spent_s
        session.finish()
        self.sessions += 1
        self._ended_s += took_s
        self.session_spent_s, self.is_on = 0.0, False
        self.learned()
        return took_s

    def _end_ok(self) -> None:
        """Write that the cells are complete as far as they are; a later look writes it again."""
        for job in self.jobs:
            if not job.failed:
                job.end(self._context.folder, "ok")
