"""What disturbs measuring on a machine.

What goes on in it, read from the kernel at the edges of a block; and what makes it hard to measure
on at any time, with what would change that: read, never set.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import psutil

from rtfbench.base.core_count import cpu_limit, throttled_s
from rtfbench.base.files import system_text
from rtfbench.results.records import Health

T = TypeVar("T")
JIFFY_S = 1 / os.sysconf("SC_CLK_TCK")
#: Of the times of all cores, those that are work; steal is what the hypervisor gave to others.
BUSY = ("user", "nice", "system", "irq", "softirq")


@dataclass(frozen=True)
class Counters:
    """Running totals in seconds, but for `switches`; None where the host does not tell."""

    wall_s: float
    busy_s: float | None
    steal_s: float | None
    waiting_s: float | None
    throttled_s: float | None
    own_s: float | None
    switches: int | None


def read_counters(pids: Iterable[int]) -> Counters:
    """Return the totals of the machine, and of these processes with this one."""
    processes = [*pids, os.getpid()]
    times = _try(psutil.cpu_times)
    return Counters(
        wall_s=time.monotonic(),
        busy_s=times and sum(getattr(times, name) for name in BUSY),
        steal_s=times and times.steal,
        waiting_s=_try(_waiting_s),
        throttled_s=throttled_s(),
        own_s=_try(lambda: sum(map(_process_cpu_s, processes))),
        switches=_try(lambda: sum(map(_involuntary_switches, processes))),
    )


def between(before: Counters, after: Counters, *, cell_id: str, session: int, block: int) -> Health:
    """Return what happened from one reading to the next."""
    wall_s = after.wall_s - before.wall_s

    def rate(earlier: float | None, later: float | None) -> float | None:
        if earlier is None or later is None or wall_s <= 0:
            return None
        return round(max(later - earlier, 0.0) / wall_s, 4)

    busy, own = rate(before.busy_s, after.busy_s), rate(before.own_s, after.own_s)
    return Health(
        cell_id=cell_id,
        session=session,
        block=block,
        wall_ns=round(wall_s * 1e9),
        steal=rate(before.steal_s, after.steal_s),
        pressure=rate(before.waiting_s, after.waiting_s),
        involuntary=rate(before.switches, after.switches),
        other_cpu=None if busy is None or own is None else round(max(busy - own, 0.0), 4),
        frequency_mhz=_try(_frequency_mhz),
        throttled=rate(before.throttled_s, after.throttled_s),
        load_average_1min=round(os.getloadavg()[0], 2),
    )


def _try(source: Callable[[], T]) -> T | None:
    """Return what a file of the kernel says, None where there is no such file or field."""
    try:
        return source()
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _waiting_s() -> float:
    """Return for how long some task waited for a core (pressure stall information)."""
    lines = Path("/proc/pressure/cpu").read_text().splitlines()
    return int(next(line for line in lines if "some" in line).rpartition("=")[2]) / 1e6


def _process_cpu_s(pid: int) -> float:
    """Return a process's CPU time, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * JIFFY_S


def _involuntary_switches(pid: int) -> int:
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        total += int(next(x for x in lines if x.startswith("nonvoluntary_ctxt")).split()[1])
    return total


def _frequency_mhz() -> float:
    """Return the cores' mean frequency as the governor sees it; virtual machines have none."""
    paths = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    return round(fmean(int(path.read_text()) / 1e3 for path in paths), 1)


def advise(
    usable: Sequence[int], *, load_average_1min: float, root: Path = Path("/")
) -> Iterator[str]:
    """Yield a line for everything that could be better, with its cure; nothing of what is not told.

    The machine is the one that `sys` and `proc` below a root describe, `usable` are the numbers of
    the cores that may be used.
    """
    cpus = root / "sys/devices/system/cpu"

    def of_cores(name: str) -> list[str]:
        told = (system_text(cpus / f"cpu{core}" / name) for core in usable)
        return [each for each in told if each]

    governors = set(of_cores("cpufreq/scaling_governor"))
    if governors - {"performance"}:
        yield (
            f"frequency governor {', '.join(sorted(governors))}: clocks follow the load; set "
            "performance with: cpupower frequency-set -g performance"
        )
    boost = system_text(cpus / "cpufreq/boost")
    if boost == "1" or (boost is None and system_text(cpus / "intel_pstate/no_turbo") == "0"):
        yield (
            "turbo is on: the clock depends on temperature and neighbours; for steadier absolute "
            "times switch it off in the firmware (ratios do not need it)"
        )
    siblings = of_cores("topology/thread_siblings_list")
    if len(set(siblings)) < len(siblings):
        yield (
            "two of the usable cores share one (SMT): with 2 threads and more, pin the run to "
            "different cores, for example: taskset -c 0,2 rtfbench run"
        )
    limit = cpu_limit(root)
    if limit is not None and limit < len(usable):
        allows = f"the cgroup allows {limit:g} cores of {len(usable)}"
        if limit < 1:
            yield f"{allows}: even one thread is throttled; raise the limit to 1 at least"
        else:
            yield (
                f"{allows}: more threads than that are throttled; raise the limit or keep "
                f"--threads at most {int(limit)}"
            )
    if load_average_1min > 0.3:
        yield (
            f"load {load_average_1min:.2f} before anything was started: other processes "
            "are busy; stop them, or keep a core free"
        )
    if "hypervisor" in (system_text(root / "proc/cpuinfo") or ""):
        yield (
            "a virtual machine: neighbours come and go unseen; ratios in turns hold, absolute "
            "times are of this hour"
        )
