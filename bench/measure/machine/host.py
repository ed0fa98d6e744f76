"""The host's fingerprint: what the system tells of the processor, and what limits a process.

Micro-architectures are named by what a processor says of itself: virtual machines hide the model's
name but not its family and model. Sources: the lists of families and models in Linux
(arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h).
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

from rtfbench.base.core_count import cpu_limit
from rtfbench.engines import cpu
from rtfbench.measure.machine.core import probe
from rtfbench.results.host import Host

Models = Mapping[range, str]

AMD: Mapping[int, Models] = {
    23: {
        range(0x30): "Zen",
        range(0x30, 0x50): "Zen 2",
        range(0x60, 0x80): "Zen 2",
        range(0x90, 0xB0): "Zen 2",
    },
    25: {
        range(0x10): "Zen 3",
        range(0x10, 0x20): "Zen 4",
        range(0x20, 0x60): "Zen 3",
        range(0x60, 0x80): "Zen 4",
        range(0xA0, 0xB0): "Zen 4",
    },
    26: {
        range(0x30): "Zen 5",
        range(0x40, 0x50): "Zen 5",
        range(0x60, 0x80): "Zen 5",
    },
}
INTEL_FAMILY = 6
INTEL: Mapping[int, str] = {
    0x3F: "Haswell",
    0x4E: "Skylake",
    0x4F: "Broadwell",
    0x56: "Broadwell",
    0x5E: "Skylake",
    0x6A: "Ice Lake",
    0x6C: "Ice Lake",
    0x7D: "Ice Lake",
    0x7E: "Ice Lake",
    0x8C: "Tiger Lake",
    0x8D: "Tiger Lake",
    0x8E: "Kaby Lake",
    0x8F: "Sapphire Rapids",
    0x97: "Alder Lake",
    0x9A: "Alder Lake",
    0x9E: "Coffee Lake",
    0xAA: "Meteor Lake",
    0xAD: "Granite Rapids",
    0xAE: "Granite Rapids",
    0xAF: "Sierra Forest",
    0xB7: "Raptor Lake",
    0xBA: "Raptor Lake",
    0xBD: "Lunar Lake",
    0xBF: "Raptor Lake",
    0xC5: "Arrow Lake",
    0xC6: "Arrow Lake",
    0xCF: "Emerald Rapids",
}
#: One model number, told apart by the stepping: from which on it is which.
SKYLAKE_SERVER = 0x55
SKYLAKE_SERVER_STEPPINGS = ((10, "Cooper Lake"), (5, "Cascade Lake"), (0, "Skylake-SP"))


def microarchitecture(
    vendor: str, family: int | None, model: int | None, stepping: int | None, *, name: str = ""
) -> str:
    """Return the name of a core's design, empty where it is not known.

    Args:
        vendor: as the processor says it, e.g. `AuthenticAMD`.
        family: the number of its family.
        model: the number within it.
        stepping: the revision.
        name: what the system calls it; elsewhere than on x86 that is the core's design.
    """
    if vendor == "AuthenticAMD" and family is not None and model is not None:
        known = AMD.get(family, {})
        return next((text for models, text in known.items() if model in models), "")
    if vendor == "GenuineIntel" and family == INTEL_FAMILY and model is not None:
        if model == SKYLAKE_SERVER:
            return next(
                text for least, text in SKYLAKE_SERVER_STEPPINGS if (stepping or 0) >= least
            )
        return INTEL.get(model, "")
    return name if vendor in ("ARM", "Apple", "Ampere", "Cavium", "HiSilicon", "Qualcomm") else ""


#: Instruction sets that inference engines choose their kernels by.
INSTRUCTION_SETS = (
    *("sse4_2", "avx", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
LSCPU_TIMEOUT_S = 10.0
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}


def describe(*, probes: bool = True) -> Host:
    """Return what the machine is; with probes, also what its core reaches (a tenth of a second)."""
    told = _lscpu()
    vendor, name = told.get("Vendor ID", ""), told.get("Model name", "")
    family, model, stepping = (
        _number(told.get(field)) for field in ("CPU family", "Model", "Stepping")
    )
    limit = cpu_limit()
    return Host(
        vendor=vendor,
        family=family,
        model=model,
        stepping=stepping,
        microarchitecture=microarchitecture(vendor, family, model, stepping, name=name),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in cpu.flags()),
        cache_bytes=dict(_caches(told)),
        threads_per_core=_number(told.get("Thread(s) per core")),
        hypervisor=told.get("Hypervisor vendor", ""),
        container=_container(),
        cpu_limit=None if limit is None else round(limit, 2),
        max_mhz=_max_mhz(),
        blas=_blas(),
        probes=probe() if probes else None,
    )


def _lscpu() -> dict[str, str]:
    """Return what `lscpu` tells, field by field; nothing where it is not installed."""
    try:
        done = subprocess.run(
            ["lscpu", "--json"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            timeout=LSCPU_TIMEOUT_S,
            check=True,
        )
        return dict(_fields(json.loads(done.stdout)["lscpu"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return {}


def _fields(entries: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield names and values; newer versions nest them."""
    for entry in entries:
        yield str(entry["field"]).rstrip(":"), str(entry.get("data") or "")
        yield from _fields(entry.get("children", []))


def _number(text: str | None) -> int | None:
    """Return a number that stands as text; steppings of ARM look like r3p1 and are none."""
    return int(text) if text and text.isdigit() else None


def _caches(told: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield the size of one cache of each level; `lscpu` tells that of all instances."""
    for level in ("L1d", "L1i", "L2", "L3"):
        found = re.match(r"([\d.]+) (\w+)(?: \((\d+) instance)?", told.get(f"{level} cache", ""))
        if found and found[2] in UNITS:
            yield level, round(float(found[1]) * UNITS[found[2]] / int(found[3] or 1))


def _container() -> str:
    """Return which kind of container this is, empty outside of one."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else ""


def _max_mhz() -> float | None:
    """Return the largest frequency that the governor allows; virtual machines tell none."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return round(frequency.max, 1) if frequency and frequency.max else None


def _blas() -> str:
    """Return which kernels numpy's matrix products run on."""
    found = next((each for each in threadpool_info() if each["user_api"] == "blas"), None)
    if found is None:
        return ""
    parts = (found["internal_api"], found.get("version"), found.get("architecture"))
    return " ".join(str(part) for part in parts if part)
