"""What about a machine makes measuring on it hard, and what would change that; read, never set."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtfbench.base.core_count import cpu_limit


@dataclass(frozen=True)
class HostSettings:
    """Settings of a host that move times; None where it does not tell.

    `governors` are the cores' frequency policies, `siblings` whether two of the usable cores are
    threads of one, `cpu_limit` the cgroup's limit in cores.
    """

    usable_cores: int
    governors: frozenset[str] | None
    turbo: bool | None
    siblings: bool | None
    cpu_limit: float | None
    load_average_1min: float
    virtual: bool


def read_settings(
    usable: list[int], *, load_average_1min: float, root: Path = Path("/")
) -> HostSettings:
    """Return the machine that files below a root describe.

    Args:
        usable: numbers of the cores that this process may run on.
        load_average_1min: as the kernel gives it.
        root: where `sys` and `proc` are.
    """
    cpus = root / "sys/devices/system/cpu"
    governors = [_text(cpus / f"cpu{core}/cpufreq/scaling_governor") for core in usable]
    siblings = [_text(cpus / f"cpu{core}/topology/thread_siblings_list") for core in usable]
    known = [each for each in siblings if each is not None]
    return HostSettings(
        usable_cores=len(usable),
        governors=frozenset(filter(None, governors)) or None,
        turbo=_turbo(cpus),
        siblings=len(set(known)) < len(known) if known else None,
        cpu_limit=cpu_limit(root),
        load_average_1min=load_average_1min,
        virtual="hypervisor" in (_text(root / "proc/cpuinfo") or ""),
    )


def advise(machine: HostSettings) -> Iterator[str]:
    """Yield a line for everything that could be better, with its cure."""
    if machine.governors and machine.governors != {"performance"}:
        names = ", ".join(sorted(machine.governors))
        yield (
            f"frequency governor {names}: clocks follow the load; set performance with: "
            "cpupower frequency-set -g performance"
        )
    if machine.turbo:
        yield (
            "turbo is on: the clock depends on temperature and neighbours; for steadier absolute "
            "times switch it off in the firmware (ratios do not need it)"
        )
    if machine.siblings:
        yield (
            "two of the usable cores share one (SMT): with 2 threads and more, pin the run to "
            "different cores, for example: taskset -c 0,2 rtfbench run"
        )
    if machine.cpu_limit is not None and machine.cpu_limit < machine.usable_cores:
        allows = f"the cgroup allows {machine.cpu_limit:g} cores of {machine.usable_cores}"
        if machine.cpu_limit < 1:
            yield f"{allows}: even one thread is throttled; raise the limit to 1 at least"
        else:
            yield (
                f"{allows}: more threads than that are throttled; raise the limit or keep "
                f"--threads at most {int(machine.cpu_limit)}"
            )
    if machine.load_average_1min > 0.3:
        yield (
            f"load {machine.load_average_1min:.2f} before anything was started: other processes "
            "are busy; stop them, or keep a core free"
        )
    if machine.virtual:
        yield (
            "a virtual machine: neighbours come and go unseen; ratios in turns hold, absolute "
            "times are of this hour"
        )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _turbo(cpus: Path) -> bool | None:
    boost, no_turbo = _text(cpus / "cpufreq/boost"), _text(cpus / "intel_pstate/no_turbo")
    if boost is not None:
        return boost == "1"
    return None if no_turbo is None else no_turbo == "0"
