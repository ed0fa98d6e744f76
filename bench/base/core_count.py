"""How many cores there are to use: those that a process may run on, within its CPU quota.

Control groups tell the quota, and for how long they waited. Sources: the kernel's
`admin-guide/cgroup-v2.rst`, `scheduler/sched-bwc.rst` for version 1, and cgroups(7).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rtfbench.base.files import system_text

#: Where version 1 has its controller of CPU time, by itself or with another.
V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
#: Fields of `cpu.stat` -> their unit in seconds; the first is of version 2.
THROTTLED_S = {"throttled_usec": 1e-6, "throttled_time": 1e-9}


def cpu_limit(root: Path = Path("/")) -> float | None:
    """Return how many cores' time this process gets at most, None where no limit is told.

    A group's limit holds for all groups below it: the smallest counts. `root` is where `sys` and
    `proc` are.
    """
    limits = [limit for group in _groups(root) if (limit := _limit(group)) is not None]
    return min(limits, default=None)


def throttled_s(root: Path = Path("/")) -> float | None:
    """Return for how long quotas kept cores from this process's groups; None where it is not told.

    Each group tells only what its own quota did, so all of them are added.
    """
    times_s = [time_s for group in _groups(root) for time_s in _throttled_s(group)]
    return sum(times_s) if times_s else None


def _groups(root: Path) -> list[Path]:
    """Return the folders of the groups that this process is in, of either version."""
    top, (unified, cpu) = root / "sys/fs/cgroup", _paths(root)
    try:
        if (top / "cgroup.controllers").exists():
            return _line(top, unified)
        found = _line(top / "unified" if (top / "unified").is_dir() else top, unified)
        mount = next((top / name for name in V1_MOUNTS if (top / name).is_dir()), None)
        return [*found, *_line(mount, cpu)] if mount else found
    except OSError:
        return []


def _paths(root: Path) -> tuple[str, str]:
    """Return the process's group of version 2, and that of version 1's CPU controller."""
    unified = cpu = "/"
    for line in (system_text(root / "proc/self/cgroup") or "").split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "cpu" in controllers.split(","):
            cpu = path
        elif number == "0" and not controllers:
            unified = path
    return unified, cpu


def _line(mount: Path, path: str) -> list[Path]:
    """Return the folders from a mount's root down to a group.

    A container may see its own group as the root, and be told the path that the host has for it:
    what cannot be seen from here leaves the root alone.
    """
    parts = PurePosixPath(path).parts[1:]
    if ".." in parts or not mount.joinpath(*parts).is_dir():
        return [mount]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _limit(group: Path) -> float | None:
    words = (system_text(group / "cpu.max") or "").split()
    if not words:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [system_text(group / name) or "" for name in names]
    # The quota is `max` in version 2 and -1 in version 1 where there is none.
    quota, period = map(_number, words) if len(words) == 2 else (None, None)
    return quota / period if quota and period else None


def _throttled_s(group: Path) -> Iterator[float]:
    for line in (system_text(group / "cpu.stat") or "").split("\n"):
        name, _, value = line.partition(" ")
        number = _number(value)
        if name in THROTTLED_S and number is not None:
            yield number * THROTTLED_S[name]


def _number(text: str) -> int | None:
    """Return a count of the kernel's, which has 64 bits; None for anything else."""
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else None


@dataclass(frozen=True)
class Cores:
    """How many cores a process may run on, and the quota of their time, in cores, if any."""

    allowed: int
    quota: float | None = None

    @property
    def limited(self) -> bool:
        """Whether the quota is less than the cores could give."""
        return self.quota is not None and self.quota < self.allowed

    @property
    def count(self) -> int:
        """As many as can be kept busy without being throttled; one at least."""
        return self.allowed if self.quota is None else max(min(self.allowed, int(self.quota)), 1)

    def told(self, cores: int | None = None) -> str:
        """Say how many cores may be used, `count` by default, and why where it is the quota."""
        cores = self.count if cores is None else cores
        text = f"this process may use {cores} core{'s' * (cores != 1)}"
        if not self.limited or cores != self.count:
            return text
        return f"{text} of {self.allowed} (its CPU quota is {self.quota:g})"


def cores_here(root: Path = Path("/")) -> Cores:
    """Return what this process has."""
    return Cores(len(os.sched_getaffinity(0)), cpu_limit(root))


def core_count() -> int:
    """Return how many cores this process can keep busy."""
    return cores_here().count


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def cores_to_pin() -> list[int]:
    """Return the numbers of as many cores as the CPU quota is enough for."""
    return usable_cores()[: core_count()]
