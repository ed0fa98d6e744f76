"""The real driver on a simulated cluster: deaths, failures, and a day of two hundred workers."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pytest

from rtfbench.base.cluster.driver import (
    TRIES,
    Answered,
    ClusterError,
    Died,
    Driver,
    Ended,
    Event,
    Lost,
    Note,
    Todo,
)

HOUR_S = 3600.0
#: Utterances of a shard.
WHOLE = 1000
DONE = {"kind": "done"}


class SimulatedCluster:
    """Workers that take a task each, on a clock that jumps from event to event.

    A worker that dies comes back after a while; what it had written of its task stays. `fate` says
    what a worker answers, None where it dies of the task.
    """

    def __init__(
        self,
        workers: int,
        *,
        task_s: float = 120.0,
        deaths_an_hour: float = 0.0,
        fate: Callable[[str, str], dict[str, Any] | None] = lambda key, worker: DONE,
        seed: int = 0,
    ) -> None:
        self._random, self._fate, self._task_s = random.Random(seed), fate, task_s
        self._deaths_an_hour = deaths_an_hour
        self._now_s = 0.0
        self._idle = {f"worker-{i}" for i in range(workers)}
        self._back: list[tuple[float, str]] = []
        self._ends: list[tuple[float, str, str, bool]] = []
        self.written: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.deaths = self.most_out = 0

    def workers(self) -> Mapping[str, int]:
        """Return those that live."""
        while self._back and self._back[0][0] <= self._now_s:
            self._idle.add(heapq.heappop(self._back)[1])
        return dict.fromkeys([*sorted(self._idle), *(worker for _, worker, _, _ in self._ends)], 1)

    def submit(self, key: str, job: dict[str, Any], *, avoid: Collection[str]) -> None:
        """Start a task on an idle worker; decide how it will end."""
        choice = sorted(self._idle - set(avoid)) or sorted(self._idle)
        worker = self._random.choice(choice)
        self._idle.remove(worker)
        self.runs[key] += 1
        left_s = self._task_s * self._random.uniform(0.5, 1.5) * (1 - self.written[key] / WHOLE)
        death_s = float("inf")
        if self._deaths_an_hour:
            death_s = self._random.expovariate(self._deaths_an_hour / HOUR_S)
        dies = death_s < left_s
        if dies:
            self.written[key] += int((WHOLE - self.written[key]) * death_s / left_s)
        heapq.heappush(self._ends, (self._now_s + min(death_s, left_s), worker, key, dies))
        self.most_out = max(self.most_out, len(self._ends))

    def next_event(self, timeout_s: float) -> Event | None:
        """Jump to the next end of a task, or by the timeout."""
        if not self._ends or self._ends[0][0] > self._now_s + timeout_s:
            self._now_s += timeout_s
            return None
        self._now_s, worker, key, dies = heapq.heappop(self._ends)
        answer = None if dies else self._fate(key, worker)
        if answer is None:
            self.deaths += 1
            heapq.heappush(self._back, (self._now_s + 60, worker))
            return Died(key, 1)
        self._idle.add(worker)
        if answer == DONE:
            self.finished[key] += 1
        return Answered(key, worker, answer)

    def clock_s(self) -> float:
        """Return the simulated time."""
        return self._now_s


def run(cluster: SimulatedCluster, count: int) -> list[Ended | Lost | Note]:
    """Run so many tasks, and return all that is told of them."""
    todos = (Todo(str(i), {}) for i in range(count))
    return list(Driver(cluster, lambda key: cluster.written[key]).run(todos))


@pytest.mark.parametrize("deaths_an_hour", [0.01, 1.0])
def test_two_hundred_workers_that_die_lose_nothing(deaths_an_hour: float) -> None:
    """Of ten hours' work for 200 workers, every shard ends once, at 1 % deaths an hour and 100 %.

    No more tasks are out than there are workers.
    """
    cluster = SimulatedCluster(200, task_s=1200, deaths_an_hour=deaths_an_hour, seed=5)
    count = 6_000
    told = run(cluster, count)
    assert Counter(type(each) for each in told) == {Ended: count}
    assert set(cluster.finished.values()) == {1}
    assert len(cluster.finished) == count
    assert cluster.most_out == 200
    # 2000 hours of work, with an end for each death.
    assert cluster.deaths == pytest.approx(2000 * deaths_an_hour, rel=0.4)
    assert sum(cluster.runs.values()) == count + cluster.deaths


def test_a_task_that_kills_three_workers_is_given_up_and_the_rest_goes_on() -> None:
    """What gets no further is to blame; it is told, and costs three workers, not one more."""
    cluster = SimulatedCluster(4, fate=lambda key, _: None if key == "7" else DONE)
    told = run(cluster, 30)
    (lost,) = [each for each in told if isinstance(each, Lost)]
    assert lost.key == "7"
    assert f"{TRIES} workers died" in lost.reason
    assert cluster.runs["7"] == cluster.deaths == TRIES
    assert {each.key for each in told if isinstance(each, Ended)} == {
        str(i) for i in range(30) if i != 7
    }


def test_deaths_are_not_held_against_a_task_that_gets_on() -> None:
    """A shard that is written a bit further by each of ten workers that die is not lost."""
    cluster = SimulatedCluster(2, fate=lambda key, _: DONE if cluster.written[key] > 9 else None)
    progress = cluster.written

    def goes_on(key: str) -> int:
        progress[key] += 1
        return progress[key]

    told = list(Driver(cluster, goes_on).run([Todo("a", {})]))
    assert told == [Ended("a", DONE)]
    assert cluster.deaths >= 4


def test_a_worker_that_only_fails_is_left_out_and_costs_no_shard() -> None:
    """One with a full disk answers at once, and would take every shard if it were let."""

    def fate(key: str, worker: str) -> dict[str, Any]:
        return {"kind": "failed", "reason": "disk full"} if worker == "worker-2" else DONE

    cluster = SimulatedCluster(4, fate=fate)
    told = run(cluster, 200)
    assert [each.text for each in told if isinstance(each, Note)] == [
        "worker-2 failed 3 times and is left out: disk full"
    ]
    assert len([each for each in told if isinstance(each, Ended)]) == 200
    assert sum(cluster.runs.values()) == 203


def test_where_all_fail_every_shard_is_told() -> None:
    """A folder that nobody can write to ends the work, with the reason for each shard."""
    told = run(SimulatedCluster(3, fate=lambda *_: {"kind": "failed", "reason": "no room"}), 5)
    lost = [each for each in told if isinstance(each, Lost)]
    assert [each.reason for each in lost] == ["tried 3 times: no room"] * 5


def test_a_worker_of_another_version_that_joins_later_gets_nothing_more() -> None:
    """Its cure is told once; where there is no other, the work ends with it."""
    wrong = {"kind": "unfit", "reason": "numpy is 1.26, not 2.4"}
    cluster = SimulatedCluster(3, fate=lambda _, worker: wrong if worker == "worker-1" else DONE)
    told = run(cluster, 50)
    assert [each for each in told if not isinstance(each, Ended)] == [
        Note("worker-1 is left out: numpy is 1.26, not 2.4")
    ]
    assert sum(cluster.runs.values()) == 51
    with pytest.raises(ClusterError, match="worker-0: numpy is"):
        run(SimulatedCluster(1, fate=lambda *_: wrong), 2)


def test_a_shard_that_is_being_written_is_tried_again_later() -> None:
    """A worker that was taken for dead may still be at it: that is told once and waited for."""
    answers: Iterator[dict[str, Any]] = iter([{"kind": "busy", "reason": "x"}] * 5 + [DONE])
    cluster = SimulatedCluster(1, fate=lambda *_: next(answers))
    assert run(cluster, 1) == [Note("x; tried again every 30 s"), Ended("0", DONE)]
    assert cluster.clock_s() > 5 * 30


def test_the_absence_of_workers_is_told() -> None:
    """Whoever waits learns that there is nobody to work."""
    cluster = SimulatedCluster(0)

    def comes_late() -> Iterator[Todo]:
        yield Todo("a", {})

    told = []
    for event in Driver(cluster).run(comes_late()):
        told.append(event)
        cluster._idle.add("worker-0")
    assert told == [Note("no worker is there; waiting for one"), Ended("a", DONE)]
