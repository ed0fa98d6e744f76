"""CUDA devices as NVIDIA's driver tells of them: which are here, and what their memory holds.

The driver's own libraries are asked, so that no runtime has to be loaded for it.
"""

import ctypes
from collections.abc import Callable
from typing import NamedTuple

from rtfbench.engines.protocol import CUDA, number_of

DRIVER, MANAGEMENT = "libcuda.so.1", "libnvidia-ml.so.1"
NONE_HERE = "no CUDA device: {why}; run it where there is one, or choose --device cpu"
NAME_BYTES, BUS_ID_BYTES = 96, 32


class CudaCard(NamedTuple):
    """A device: its name, and where on the bus it is."""

    name: str
    bus_id: str


class _NvmlMemory(ctypes.Structure):
    """What NVML fills in: bytes."""

    _fields_ = tuple((name, ctypes.c_ulonglong) for name in ("total", "free", "used"))


def missing(device: str, driver: str = DRIVER) -> str:
    """Say why a device is not here, empty where it is."""
    found = cards(driver)
    if isinstance(found, str):
        return NONE_HERE.format(why=found)
    if number_of(device) >= len(found):
        names = ", ".join(f"{CUDA}:{i} ({card.name})" for i, card in enumerate(found))
        return f"no CUDA device of that number: there are {names}"
    return ""


def cards(driver: str = DRIVER) -> list[CudaCard] | str:
    """Return the devices that this process may use, or why there are none."""
    try:
        library = ctypes.CDLL(driver)
    except OSError:
        return f"NVIDIA's driver is not installed ({driver})"
    if code := library.cuInit(0):
        return f"NVIDIA's driver does not start (cuInit says {code})"
    count = ctypes.c_int()
    if library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "NVIDIA's driver has none"
    found = []
    for ordinal in range(count.value):
        handle = ctypes.c_int()
        name, bus = map(ctypes.create_string_buffer, (NAME_BYTES, BUS_ID_BYTES))
        library.cuDeviceGet(ctypes.byref(handle), ordinal)
        library.cuDeviceGetName(name, NAME_BYTES, handle)
        library.cuDeviceGetPCIBusId(bus, BUS_ID_BYTES, handle)
        found.append(CudaCard(name.value.decode(), bus.value.decode()))
    return found


def name_of(device: str, driver: str = DRIVER) -> str:
    """Return what the driver calls a device that is here."""
    found = cards(driver)
    return "" if isinstance(found, str) else found[number_of(device)].name


def energy_counter(
    device: str, driver: str = DRIVER, management: str = MANAGEMENT
) -> Callable[[], int] | None:
    """Return what reads the energy that a device has spent since its driver was loaded, in µJ.

    It raises OSError where that cannot be told any more. None where it cannot be told at all.
    """
    try:
        opened = _opened(device, driver, management)
        if opened is None:
            return None
        library, handle = opened
        spent_mj = ctypes.c_ulonglong()

        def read() -> int:
            if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(spent_mj)):
                raise OSError("the device tells no energy")
            return int(spent_mj.value) * 1000

        read()
    except (OSError, AttributeError):  # AttributeError: a library from before there was such
        return None
    return read


def memory_used(device: str, driver: str = DRIVER, management: str = MANAGEMENT) -> int | None:
    """Return how much of a device's memory is taken, by all that use it, in bytes.

    None where NVIDIA's management library does not tell.
    """
    opened = _opened(device, driver, management)
    if opened is None:
        return None
    library, handle = opened
    memory = _NvmlMemory()
    failed = library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
    library.nvmlShutdown()
    return None if failed else int(memory.used)


def _opened(
    device: str, driver: str, management: str
) -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """Return NVIDIA's management library and its handle of a device, None where there is none."""
    found = cards(driver)
    try:
        library = ctypes.CDLL(management)
    except OSError:
        return None
    if isinstance(found, str) or library.nvmlInit_v2():
        return None
    handle = ctypes.c_void_p()
    bus_id = found[number_of(device)].bus_id.encode()
    # By its place on the bus: numbers follow CUDA_VISIBLE_DEVICES for the driver alone.
    if library.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(handle)):
        library.nvmlShutdown()
        return None
    return library, handle
