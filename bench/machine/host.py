"""The host's fingerprint: what the system tells of the processor, and what limits a process."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

from bench.base.cgroup import cpu_limit
from bench.machine.cpus import microarchitecture
from bench.machine.probes import probe
from bench.results.host import Host

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
    flags = set(told.get("Flags", "").split())
    return Host(
        vendor=vendor,
        family=family,
        model=model,
        stepping=stepping,
        microarchitecture=microarchitecture(vendor, family, model, stepping, name=name),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in flags),
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
