"""How many cores there are to use: those that a process may run on, within its CPU quota."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.base.cgroup import cpu_limit


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

    def told(self, cores: int) -> str:
        """Write how many cores may be used, with the quota where that is the reason."""
        text = f"{cores} core{'s' * (cores != 1)}"
        if not self.limited or cores != self.count:
            return text
        return f"{text} of {self.allowed} (its CPU quota is {self.quota:g})"


def cores_here(root: Path = Path("/")) -> Cores:
    """Return what this process has.

    Args:
        root: where `sys` and `proc` are.
    """
    return Cores(len(os.sched_getaffinity(0)), cpu_limit(root))


def core_count() -> int:
    """Return how many cores this process can keep busy."""
    return cores_here().count
