"""What runs a function on the workers of a Dask cluster, and tells how each task ended."""

import time
import traceback
from collections.abc import Callable, Collection, Mapping
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future, get_worker
from distributed.scheduler import KilledWorker

from rtfbench.base.cluster.driver import Answered, ClusterError, Died, Event, Raised

#: Of the names of our tasks; the client's id follows.
PREFIX = "rtfbench-"
TASK = Callable[[dict[str, Any]], Any]


def _named(task: TASK, job: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run a task on a worker; return the worker's name with the answer."""
    name: str = get_worker().address
    try:
        return name, task(job)
    except Exception as error:  # one not foreseen: another worker may do better
        traceback.print_exc()
        return name, {"kind": "failed", "reason": told(error)}


class DaskExecutor:
    """Runs one function on the workers of a cluster."""

    def __init__(self, client: Client, task: TASK, mend: Callable[[], None]) -> None:
        self._client, self._task, self._mend = client, task, mend
        self._futures: dict[str, tuple[str, Future[Any]]] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._numbers = count(1)

    def workers(self) -> Mapping[str, int]:
        """Return the workers by address, each with its number of threads.

        Raises:
            ClusterError: the scheduler is gone.
        """
        self._mend()
        try:
            found: dict[str, int] = self._client.nthreads()
        except Exception as error:
            raise gone(error) from error
        return found

    def submit(self, key: str, job: dict[str, Any], *, avoid: Collection[str]) -> None:
        """As in the protocol.

        Raises:
            ClusterError: the scheduler is gone.
        """
        others = [name for name in self.workers() if name not in avoid] if avoid else []
        self._submit(key, job, others, bound=False)

    def submit_on(self, key: str, job: dict[str, Any], workers: Collection[str]) -> None:
        """Have a task run once, on one of these workers.

        Raises:
            ClusterError: the scheduler is gone.
        """
        self._submit(key, job, workers, bound=True)

    def _submit(
        self, key: str, job: dict[str, Any], workers: Collection[str], *, bound: bool
    ) -> None:
        name = f"{PREFIX}{self._client.id}-{next(self._numbers)}"
        try:
            future = self._client.submit(
                _named,
                self._task,
                job,
                key=name,
                pure=False,
                workers=list(workers) or None,
                # If all of these are lost, an unbound task is better elsewhere than nowhere.
                allow_other_workers=bool(workers) and not bound,
            )
        except Exception as error:
            raise gone(error) from error
        self._futures[name] = (key, future)
        future.add_done_callback(lambda _: self._ended.put(name))

    def next_event(self, timeout_s: float) -> Event | None:
        """As in the protocol."""
        try:
            name = self._ended.get(timeout=timeout_s)
        except Empty:
            return None
        if name not in self._futures:
            return None  # forgotten
        key, future = self._futures.pop(name)
        try:
            worker, answer = future.result()
        except KilledWorker as killed:
            return Died(key, killed.allowed_failures + 1)
        except Exception as error:
            if future.cancelled() or self._client.status != "running":
                raise gone(error) from error
            return Raised(key, told(error))
        return Answered(key, worker, answer)

    def forget(self, key: str) -> None:
        """Cancel a task; no event tells of it."""
        for name, (own, future) in list(self._futures.items()):
            if own == key:
                del self._futures[name]
                future.cancel()

    def clock_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()


def gone(error: BaseException) -> ClusterError:
    """Return the error of a scheduler that does not answer."""
    return ClusterError(f"the scheduler is gone ({type(error).__name__})")


def told(error: BaseException) -> str:
    """Return an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
