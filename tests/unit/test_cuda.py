"""CUDA devices as the driver tells of them, tried on a driver and an NVML that are made here."""

import subprocess
from pathlib import Path

import pytest

from rtfbench.base.values import UnknownNameError
from rtfbench.engines import cuda
from rtfbench.engines.native.compiler import find_compiler
from rtfbench.engines.protocol import EngineError
from rtfbench.measure.machine import devices

SOURCE = """
#include <stdio.h>
#include <string.h>
#ifdef DRIVER
int cuInit(unsigned flags) { return DRIVER; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return 0; }
int cuDeviceGetName(char *name, int bytes, int device)
{ snprintf(name, bytes, "card %d", device); return 0; }
int cuDeviceGetPCIBusId(char *bus, int bytes, int device)
{ snprintf(bus, bytes, "0000:%d:00.0", device); return 0; }
#else
static char last[64];
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **handle)
{ strncpy(last, bus, 63); *handle = last; return 0; }
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *memory)
{ memory[0] = 90; memory[1] = 20; memory[2] = strcmp(handle, "0000:41:00.0") ? 1 : 70; return 0; }
#ifdef COUNTS
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj)
{ static int left = COUNTS; *mj = 5000 - left; return left-- <= 0; }
#endif
#endif
"""


def built(folder: Path, name: str, *flags: str) -> str:
    """Compile a stand-in."""
    try:
        compiler = find_compiler()
    except EngineError as error:
        pytest.skip(str(error))
    source, library = folder / "source.c", folder / name
    source.write_text(SOURCE)
    command = [*compiler, "-xc", "-shared", "-fPIC", *flags, str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    return str(library)


def test_a_host_without_a_driver_says_so() -> None:
    """In one line with what to do."""
    said = cuda.missing("cuda", "no-such-library.so")
    assert said == (
        "no CUDA device: NVIDIA's driver is not installed (no-such-library.so); run it where "
        "there is one, or choose --device cpu"
    )
    assert cuda.memory_used("cuda", "no-such-library.so", "no-such-library.so") is None


def test_devices_are_those_of_the_driver(tmp_path: Path) -> None:
    """They are named by number; memory is read by the place on the bus."""
    driver = built(tmp_path, "driver.so", "-DDRIVER=0", "-DCOUNT=2")
    assert cuda.missing("cuda", driver) == cuda.missing("cuda:1", driver) == ""
    assert cuda.name_of("cuda:1", driver) == "card 41"
    assert cuda.missing("cuda:2", driver) == (
        "no CUDA device of that number: there are cuda:0 (card 40), cuda:1 (card 41)"
    )
    management = built(tmp_path, "management.so")
    assert cuda.memory_used("cuda:1", driver, management) == 70
    assert cuda.memory_used("cuda", driver, management) == 1


def test_energy_is_what_nvml_counts(tmp_path: Path) -> None:
    """In microjoules; a device or a library that tells none has no counter."""
    driver = built(tmp_path, "driver.so", "-DDRIVER=0", "-DCOUNT=2")
    read = cuda.energy_counter("cuda:1", driver, built(tmp_path, "counts.so", "-DCOUNTS=3"))
    assert read is not None
    assert [read(), read()] == [4_998_000, 4_999_000]  # it was read once before
    with pytest.raises(OSError, match="tells no energy"):
        read()
    for name, flags in (("none.so", ("-DCOUNTS=0",)), ("old.so", ())):
        assert cuda.energy_counter("cuda", driver, built(tmp_path, name, *flags)) is None


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("-DDRIVER=100", "-DCOUNT=1"), "NVIDIA's driver does not start (cuInit says 100)"),
        (("-DDRIVER=0", "-DCOUNT=0"), "NVIDIA's driver has none"),
    ],
)
def test_a_driver_without_devices_says_so(tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    """The reason is the driver's own."""
    assert why in cuda.missing("cuda", built(tmp_path, "driver.so", *flags))


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "cuda:-1", "cpu:0"])
def test_what_is_no_number_is_refused(name: str) -> None:
    """A device has a number from 0, or there is one alone."""
    with pytest.raises(UnknownNameError):
        devices.named(name)
    assert devices.named("cuda:3").name == "cuda:3"
