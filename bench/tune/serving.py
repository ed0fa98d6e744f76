"""The last heat where requests arrive: who holds most of them within a latency."""

import math
from functools import cached_property

from rtfbench.base.values import Interval
from rtfbench.measure.capacity import Contestant, measure_session
from rtfbench.measure.job import Job
from rtfbench.results.capacity import Capacity
from rtfbench.results.contrasts import prior_of, stratum_of
from rtfbench.results.moderated import SessionValues
from rtfbench.tune.racing import Figures, Race, memory_mb
from rtfbench.tune.standings import Rival, Rules, Standing, ranked

#: The share of the requests that have to be answered in time.
SLO = 0.99
#: Capacities of a session differ by so much at least, as a standard deviation: they are of the
#: slowest requests, and those are few.
SPREAD = 0.03
#: Who is further behind after the first session, which is short, is not measured on.
FIRST_BEHIND = 0.3
#: Fewer replays than a single capacity gets, because ratios share them.
BLOCKS = 1
#: Before capacities are known, a race takes so many sessions more.
SESSIONS_MORE = 4


class ServingRace(Race):
    """Configurations whose capacities are looked for, as `rtfbench capacity` does.

    A ratio is the leader's capacity over another's, so that, as elsewhere, more is worse.
    """

    @cached_property
    def _contestants(self) -> dict[str, Contestant]:
        return {}

    @cached_property
    def _known(self) -> dict[tuple[str, int], Capacity | None]:
        """Capacities by a cell and how many sessions it had."""
        return {}

    def _contestant(self, job: Job) -> Contestant:
        if job.cell_id not in self._contestants:
            load = job.cell.load
            assert load is not None
            assert load.latency_ms is not None
            contestant = Contestant.of(job, latency_s=load.latency_ms / 1e3, slo=SLO)
            self._contestants[job.cell_id] = contestant
        return self._contestants[job.cell_id]

    def session(self, *, slack: float, left_s: float = math.inf) -> None:
        """Measure one more session, and drop what is out after it; see `Race.session`."""
        began_s, pilot = self._context.clock(), not self.sessions
        measured = [self.reference, self._ghost, *self._others]
        _, self.session_s = measure_session(
            [self._contestant(job) for job in measured],
            self.next_session,
            self._context,
            pilot=pilot,
            most_s=left_s,
        )
        self.next_session += 1
        self._drop(slack)
        self.loading_s = self._context.clock() - began_s - self.session_s

    def _drop(self, slack: float) -> None:
        for job in self.running:
            requests = self._contestant(job).requests
            if not job.failed and requests.tells and self._capacity(job) is None:
                share = f"{100 * requests.late_alone:.1f} %"
                self.put_out(job, f"no rate keeps the limit: {share} take longer though none waits")
        super()._drop(slack)
        for each in self.standings() if self.sessions == 1 else ():
            if each.ratio > 1 + FIRST_BEHIND:
                self.out[each.cell_id] = f"left out after one session: {self.behind(each.ratio)}"

    def _capacity(self, job: Job) -> Capacity | None:
        requests = self._contestant(job).requests
        known = job.cell_id, len(requests.sessions)
        if known not in self._known:
            self._known[known] = requests.capacity(seed=self._context.seed, blocks=BLOCKS)
        return self._known[known]

    def _ranked(self, jobs: list[Job], rules: Rules) -> list[Standing]:
        """Return how those stand that are not decided yet, the one that holds most first."""
        if not self.sessions:
            return []
        all_jobs = [self.reference, self._ghost, *jobs]
        found = {
            job.cell_id: self._capacity(job)
            for job in all_jobs
            if self._contestant(job).requests.tells
        }
        capacities = {name: each for name, each in found.items() if each is not None}
        if any(job.cell_id not in capacities for job in all_jobs):
            return self._roughly(jobs)
        reference, ghost = (capacities[job.cell_id] for job in all_jobs[:2])
        jobs.sort(key=lambda job: -capacities[job.cell_id].rate_per_s)
        leader = jobs[0]
        best = capacities[leader.cell_id]
        rivals = []
        misled = reference.over(ghost)
        for job in jobs[1:]:
            over = best.over(capacities[job.cell_id])
            count = min(len(over.by_session), len(misled.by_session))
            rivals.append(
                Rival(
                    cell_id=job.cell_id,
                    level=reference.over(capacities[job.cell_id]).rate_per_s,
                    values=SessionValues(
                        tuple(over.by_session[-count:]), tuple(misled.by_session[-count:])
                    ),
                    stratum=stratum_of(job.cell, leader.cell),
                    prior=max(prior_of(job.cell, leader.cell), SPREAD),
                    blur=over.replay_half_width,
                )
            )
        level, sessions = reference.over(best).rate_per_s, len(best.by_session)
        first = Standing(leader.cell_id, "leads", 1.0, None, level, sessions)
        return ranked(first, rivals, rules)

    def _roughly(self, jobs: list[Job]) -> list[Standing]:
        """Return how all stand before capacities are known: by the rates that seem to be held."""
        rates = {job.cell_id: self._contestant(job).rate_per_s for job in jobs}
        most = max(rates.values())
        needed = self.sessions + SESSIONS_MORE
        return [
            Standing(name, "open", most / rate, None, most / rate, self.sessions, needed)
            for name, rate in sorted(rates.items(), key=lambda each: -each[1])
        ]

    def behind(self, ratio: float) -> str:
        """Say how far a configuration is behind the leader."""
        return f"the leader holds {ratio:.2f} times as many"

    def figures(self, job: Job) -> Figures:
        """Return what is told of a configuration."""
        contestant = self._contestant(job)
        held = self._capacity(job) if contestant.requests.tells and not job.failed else None
        records = [record for each in contestant.jobs.values() for record in each.data.records]
        return Figures(
            sessions=len({record.session for record in records}),
            memory_mb=memory_mb(job),
            held=None if held is None else held.rate_per_s,
            held_interval=None if held is None else held.interval,
        )

    def gain(self, named: Job, other: Job) -> tuple[float, Interval] | None:
        """Return how many times as many one holds as another, None where that is not known."""
        both = [self._capacity(job) for job in (named, other) if self.figures(job).held]
        if len(both) < 2 or both[0] is None or both[1] is None:
            return None
        if len(both[0].by_session) != len(both[1].by_session):
            return None
        found = both[0].over(both[1])
        return None if found.interval is None else (found.rate_per_s, found.interval)

    def end(self) -> None:
        """Write how every configuration ended, at all rates at which it was measured."""
        for each in self._contestants.values():
            each.end(self._context)
