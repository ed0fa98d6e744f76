"""Devices: where engines compute, and how a run pins, proves and weighs what computes there.

A package that declares

    [project.entry-points."rtfbench.devices"]
    mine = "my_package.device:MINE"

brings another, for engines that name it among their `devices`. Of several of a kind, `mine:1` is
the second.

That a session uses the threads that it was asked for is proved here too.
"""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from rtfbench.base.memory import Memory, memory_of
from rtfbench.base.values import NamedValues, UnknownNameError
from rtfbench.engines import cuda
from rtfbench.engines.protocol import CPU, CUDA, SettingMismatchError, kind_of
from rtfbench.measure.machine import energy
from rtfbench.measure.machine.energy import Meter

if TYPE_CHECKING:
    from rtfbench.measure.machine.core import Ceiling


PROOF_NS = 150_000_000
TRIES = 6
TASKS = Path("/proc/self/task")
#: A thread works when it has a core for at least this share of the time; low, because a neighbour
#: on the machine takes its part.
WORKING = 0.05


def count_threads() -> int:
    """Return the number of threads of this process."""
    return len([*TASKS.iterdir()])


def waited_ns() -> int | None:
    """Return how long threads of this process waited for a core so far, all of them together.

    None where the kernel does not tell it.
    """
    try:
        found = _scheduled_ns_by_thread()
    except (OSError, ValueError):
        return None
    return sum(waited_ns for _, waited_ns in found.values()) if found else None


def _observe(run: Callable[[], object]) -> tuple[float, int]:
    """Return what a process does during some calls.

    That is CPU time over wall time of the whole process, and how many of its threads worked.
    """
    before_ns, began_ns = _scheduled_ns_by_thread(), time.perf_counter_ns()
    while time.perf_counter_ns() - began_ns < PROOF_NS:
        run()
    wall_ns, after_ns = time.perf_counter_ns() - began_ns, _scheduled_ns_by_thread()
    spent_ns = [cpu_ns - before_ns.get(each, (0, 0))[0] for each, (cpu_ns, _) in after_ns.items()]
    return sum(spent_ns) / wall_ns, sum(cpu_ns >= WORKING * wall_ns for cpu_ns in spent_ns)


def _scheduled_ns_by_thread() -> dict[str, tuple[int, int]]:
    """Return thread id -> nanoseconds on a core and waiting for one, as the kernel counts them.

    Source: the kernel's Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
    """
    found: dict[str, tuple[int, int]] = {}
    for task in TASKS.iterdir():
        try:
            on_core, waiting, *_ = (task / "schedstat").read_text().split()
            found[task.name] = int(on_core), int(waiting)
        except (FileNotFoundError, ProcessLookupError):  # the thread ended in between
            continue
    return found


class Proof(NamedTuple):
    """What was seen of a session at work: for a row's `effective`, and a footnote or nothing."""

    effective: Mapping[str, str | int | float]
    note: str = ""


class Device(ABC):
    """Where engines compute."""

    name: str

    def numbered(self, number: int) -> Self:
        """Return one of several of its kind; its name has the number.

        Raises:
            UnknownNameError: there is one alone.
        """
        raise UnknownNameError(f"device {self.name!r} has no numbers; there is one")

    def pin(self, cores: Collection[int]) -> None:
        """Hold this process to cores, before a runtime is loaded.

        Thread pools take over the affinity that they find.
        """
        os.sched_setaffinity(0, cores)

    def ceiling(self) -> "Ceiling | None":
        """Return the peak that engines are held against; None, if nothing else is said."""
        return None

    @abstractmethod
    def prove(self, run: Callable[[], object], *, wanted: int, started: int) -> Proof:
        """Watch a session at work.

        Args:
            run: one call of the session, warmed.
            wanted: how many threads were asked for.
            started: how many threads this process gained since before the session was opened.

        Raises:
            SettingMismatchError: it does not compute as it was told to.
        """

    @abstractmethod
    def memory(self) -> Memory:
        """Return what the session of this process takes."""

    def meter(self) -> Meter | None:
        """Return what counts its energy; None, if nothing else is said, where nothing does."""
        return None


class HostCpu(Device):
    """The CPU of this machine."""

    name = CPU

    def ceiling(self) -> "Ceiling | None":
        """Return what multiply-adds on registers reach."""
        # Workers import this module, and what they load counts in their cell's memory.
        from rtfbench.measure.machine import core

        return core.ceiling()

    def prove(self, run: Callable[[], object], *, wanted: int, started: int) -> Proof:
        """Count the threads that work.

        Some that stay idle are no error: not every model can be split.
        """
        if started < wanted - 1:
            raise SettingMismatchError(
                f"asked for {wanted} threads, but only {started + 1} exist; was a smaller thread "
                "pool made before?"
            )
        for _ in range(TRIES):
            cores, threads = _observe(run)
            if threads == wanted:
                break
        if not threads:
            return Proof({}, "this kernel does not tell how many threads work")
        if threads > wanted:
            raise SettingMismatchError(f"asked for {wanted} threads, but {threads} are at work")
        split = f"of {wanted} threads only {threads} worked: this runtime does not split the model"
        effective = {"cpu_per_wall": round(cores, 3), "threads_at_work": threads}
        return Proof(effective, split if threads < wanted else "")

    def memory(self) -> Memory:
        """Return the resident size of this process."""
        return memory_of()

    def meter(self) -> Meter | None:
        """Return the packages' counters."""
        return energy.of_host()


class CudaDevice(Device):
    """A CUDA device, and the cores that its driver's calls come from."""

    def __init__(self, name: str = CUDA) -> None:
        self.name = name

    def numbered(self, number: int) -> Self:
        """Return the device of a number, from 0."""
        return type(self)(f"{CUDA}:{number}")

    def prove(self, run: Callable[[], object], *, wanted: int, started: int) -> Proof:
        """Run once, and tell which device this is; the engine has read back that it is there."""
        run()
        note = "memory is the device's, of all that use it"
        return Proof({"device": cuda.name_of(self.name)}, note)

    def memory(self) -> Memory:
        """Return what the device's memory holds, or this process where nothing tells of it."""
        used = cuda.memory_used(self.name)
        return memory_of() if used is None else Memory(used, used)

    def meter(self) -> Meter | None:
        """Return the device's own counter."""
        return energy.of_cuda(self.name)


HOST_CPU = HostCpu()
FIRST_CUDA = CudaDevice()
_KNOWN: NamedValues[Device] = NamedValues(
    Device,  # type: ignore[type-abstract]
    group="rtfbench.devices",
    built_in={
        CPU: "rtfbench.measure.machine.devices:HOST_CPU",
        CUDA: "rtfbench.measure.machine.devices:FIRST_CUDA",
    },
)


def named(name: str) -> Device:
    """Return the device of a name, such as `cpu`, `cuda` or `cuda:1`.

    Raises:
        UnknownNameError: there is no such kind, or it has no such number.
    """
    found, (_, colon, number) = _KNOWN.named(kind_of(name)), name.partition(":")
    if not colon:
        return found
    if not (number.isascii() and number.isdecimal()):
        raise UnknownNameError(f"device {name!r}: write a number after the colon, as in cuda:0")
    return found.numbered(int(number))


@cache
def ceiling_of(name: str) -> "Ceiling | None":
    """Return the peak of a device, None where it cannot be measured."""
    return named(name).ceiling()


@cache
def meter_of(name: str) -> Meter | None:
    """Return what counts a device's energy, None where nothing does."""
    return named(name).meter()
