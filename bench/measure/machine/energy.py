"""Counters of energy, where the machine has some that can be read; nothing is estimated.

Of a host they are RAPL's, by the kernel's powercap (sources: `power/powercap/powercap.rst`, and
`ABI/testing/sysfs-class-powercap`), else hwmon's (`hwmon/sysfs-interface.rst`): of the whole
package, whatever else ran on it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtfbench.base.files import system_text
from rtfbench.engines import cuda

#: How long nothing runs before idle power is measured, and while it is.
SETTLE_S, IDLE_S = 0.05, 0.25
#: What a socket's counter is called by the one driver of hwmon that has others beside it.
SOCKET = "Esocket"


@dataclass(frozen=True)
class Meter:
    """Some counters, and where they stand now; they rise together.

    Attributes:
        source: which they are.
        read: returns where each stands, in microjoules.
        ranges: where each begins again at 0; None for one that never does.
    """

    source: str
    read: Callable[[], tuple[int, ...]]
    ranges: tuple[int | None, ...]

    def now(self) -> tuple[int, ...] | None:
        """Return where the counters stand, None where one cannot be read any more."""
        try:
            return self.read()
        except (OSError, ValueError):
            return None

    def risen_uj(self, before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> int | None:
        """Return by how much all of them rose; None where one was not read, or was reset."""
        if before is None or after is None:
            return None
        ends = zip(before, after, self.ranges, strict=True)
        risen = [(last - first) % end if end else last - first for first, last, end in ends]
        return sum(risen) if min(risen) >= 0 else None


@dataclass(frozen=True)
class Spent:
    """What counters rose by during something, and how long it took."""

    uj: int | None = None
    ns: int | None = None


class Stopwatch:
    """Reads a device's meter, where there is one, before something and after it."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._began_ns = time.perf_counter_ns()
        self._before = None if meter is None else meter.now()

    def spent(self) -> Spent:
        """Return what was spent since."""
        if self._meter is None:
            return Spent()
        uj = self._meter.risen_uj(self._before, self._meter.now())
        return Spent() if uj is None else Spent(uj, time.perf_counter_ns() - self._began_ns)


def idle(
    meters: Mapping[str, Meter], sleep: Callable[[float], None] = time.sleep
) -> dict[str, Spent]:
    """Return what each device spends while nothing runs; without meters, at once."""
    if not meters:
        return {}
    sleep(SETTLE_S)
    watches = {device: Stopwatch(meter) for device, meter in meters.items()}
    sleep(IDLE_S)
    return {device: watch.spent() for device, watch in watches.items()}


def of_host(system: Path = Path("/sys")) -> Meter | None:
    """Return the meter of this machine's CPUs; None where it has none that can be read."""
    return _powercap(system / "class/powercap") or _hwmon(system / "class/hwmon")


def of_cuda(device: str) -> Meter | None:
    """Return the meter of a CUDA device; None where NVIDIA's management library tells nothing."""
    found = cuda.energy_counter(device)
    return found and Meter(f"NVML, {cuda.name_of(device)}", lambda: (found(),), (None,))


def _powercap(folder: Path) -> Meter | None:
    """Return the packages' counters, with those of memory, which is no part of a package."""
    counters: dict[str, tuple[Path, int | None]] = {}
    for zone in sorted(folder.glob("intel-rapl:*")):
        name = system_text(zone / "name") or ""
        if name.startswith("package-") or name == "dram":
            end = system_text(zone / "max_energy_range_uj") or ""
            label = name if name != "dram" else f"dram of {zone.name.split(':')[1]}"
            counters[label] = zone / "energy_uj", int(end) + 1 if end.isdecimal() else None
    return _meter("RAPL", counters)


def _hwmon(folder: Path) -> Meter | None:
    """Return the sockets' counters, or the only one that there is: others may be parts of it."""
    found = {
        each: system_text(each.with_name(each.name.replace("_input", "_label"))) or each.name
        for each in sorted(folder.glob("hwmon*/energy*_input"))
    }
    sockets = [each for each, label in found.items() if label.startswith(SOCKET)]
    chosen = sockets or (found if len(found) == 1 else ())
    drivers = {each: system_text(each.parent / "name") or "" for each in chosen}
    return _meter("hwmon", {f"{drivers[each]} {found[each]}": (each, None) for each in chosen})


def _meter(kind: str, counters: Mapping[str, tuple[Path, int | None]]) -> Meter | None:
    """Return what reads counters, None unless there are some and all can be read."""
    paths = [path for path, _ in counters.values()]

    def read() -> tuple[int, ...]:
        return tuple(int(path.read_text()) for path in paths)

    made = Meter(f"{kind}, {', '.join(counters)}", read, tuple(end for _, end in counters.values()))
    return made if paths and made.now() is not None else None
