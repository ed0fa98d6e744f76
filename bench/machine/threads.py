"""Proof that a session uses the threads that it was asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.protocol import SettingMismatchError

PROOF_NS = 150_000_000
TRIES = 6
#: A thread works when it has a core for at least this share of the time; low, because a neighbour
#: on the machine takes its part.
WORKING = 0.05


@dataclass(frozen=True)
class Busy:
    """What a process did during some calls.

    `cores` is CPU time over wall time of the whole process, `threads` how many of its threads
    worked.
    """

    cores: float
    threads: int


def count_threads() -> int:
    """Return the number of threads of this process."""
    return len(_cpu_ns_by_thread())


def prove(run: Callable[[], object], *, threads: int, started: int) -> Busy:
    """Return what the process does during a call.

    Args:
        run: one call of the session, warmed.
        threads: how many intra-op threads were asked for, the calling one included.
        started: how many threads the process gained since before the session was opened.

    Raises:
        SettingMismatchError: too few threads were started, or more of them work than were asked
            for. Threads that stay idle are no error: not every model can be split.
    """
    if started < threads - 1:
        raise SettingMismatchError(
            f"asked for {threads} threads, but only {started + 1} exist; was a smaller thread "
            "pool made before?"
        )
    for _ in range(TRIES):
        busy = _observe(run)
        if busy.threads == threads:
            break
    if busy.threads > threads:
        raise SettingMismatchError(f"asked for {threads} threads, but {busy.threads} are at work")
    return busy


def idle_note(busy: Busy, *, threads: int) -> str:
    """Return a footnote where threads stayed idle, else nothing."""
    if busy.threads >= threads:
        return ""
    return f"of {threads} threads only {busy.threads} worked: this runtime does not split the model"


def _observe(run: Callable[[], object]) -> Busy:
    before_ns, began_ns = _cpu_ns_by_thread(), time.perf_counter_ns()
    while time.perf_counter_ns() - began_ns < PROOF_NS:
        run()
    wall_ns, after_ns = time.perf_counter_ns() - began_ns, _cpu_ns_by_thread()
    spent_ns = [cpu_ns - before_ns.get(thread, 0) for thread, cpu_ns in after_ns.items()]
    return Busy(
        cores=sum(spent_ns) / wall_ns,
        threads=sum(cpu_ns >= WORKING * wall_ns for cpu_ns in spent_ns),
    )


def _cpu_ns_by_thread() -> dict[str, int]:
    """Return thread id -> nanoseconds on a core, as the kernel's scheduler counts them."""
    found: dict[str, int] = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # the thread ended in between
            continue
    return found
