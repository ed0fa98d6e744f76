"""The cores that this process may use."""

import os

from bench.base.core_count import core_count


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def cores_to_pin() -> list[int]:
    """Return the numbers of as many cores as the CPU quota is enough for."""
    return usable_cores()[: core_count()]
