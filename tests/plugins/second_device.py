"""A stand-in for an accelerator, whose memory is the host's, and engines that compute there.

They run the very code that computes on a device with memory of its own: onnxruntime by binding
input and output, torch by moving the program.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping
from typing import Self

from rtfbench.base.memory import Memory
from rtfbench.engines.ort import HERE, OnnxRuntimeEngine, Place
from rtfbench.engines.protocol import number_of
from rtfbench.engines.torch import TorchEngine
from rtfbench.measure.machine.core import Ceiling
from rtfbench.measure.machine.devices import Device, Proof
from rtfbench.measure.machine.energy import Meter

MEMORY = Memory(peak_bytes=3_000_000_000, steady_bytes=2_000_000_000)
GONE = "no stand-in of that number: there is one; choose --device stand-in"


class Said:
    """A peak that is known from a data sheet."""

    name = "a data sheet"

    def gflops(self, threads: int) -> float:
        """Return the same for any number of threads."""
        return 1e6


class StandIn(Device):
    """A device whose driver wants one core of the host, however many a cell has."""

    def __init__(self, name: str = "stand-in") -> None:
        self.name = name

    def numbered(self, number: int) -> Self:
        """Return another."""
        return type(self)(f"{self.name}:{number}")

    def pin(self, cores: Collection[int]) -> None:
        """Leave the host's part the first core."""
        os.sched_setaffinity(0, [min(cores)])

    def ceiling(self) -> Ceiling | None:
        """Return what is said."""
        return Said()

    def prove(self, run: Callable[[], object], *, wanted: int, started: int) -> Proof:
        """Run once, and tell which cores this process has."""
        run()
        return Proof({"host_cores": len(os.sched_getaffinity(0))}, "computed on the stand-in")

    def memory(self) -> Memory:
        """Return the device's own memory."""
        return MEMORY

    def meter(self) -> Meter | None:
        """Return counters that rise with the clock by 5 W, and with this process by 10 W a core."""

        def read() -> tuple[int, ...]:
            return time.monotonic_ns() * 5 // 1000, time.process_time_ns() * 10 // 1000

        return Meter("a stand-in's counters", read, (None, None))


STAND_IN = StandIn()


class TwoPlaces(OnnxRuntimeEngine):
    """Computes on either."""

    name = "two-places"
    devices = ("cpu", STAND_IN.name)
    places: Mapping[str, Place] = {"cpu": HERE, STAND_IN.name: HERE}

    def away(self, device: str) -> str:
        """There is one stand-in."""
        return GONE if number_of(device) else ""


class TorchInTwoPlaces(TorchEngine):
    """Computes on either."""

    name = "torch-in-two-places"
    devices = ("cpu", STAND_IN.name)
    places: Mapping[str, str] = {"cpu": "cpu", STAND_IN.name: "cpu"}
