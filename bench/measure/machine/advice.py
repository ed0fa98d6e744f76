"""What about a machine makes measuring on it hard, and what would change that; read, never set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rtfbench.base.core_count import cpu_limit
from rtfbench.base.files import system_text


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
